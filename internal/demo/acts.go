package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"fleetlog/internal/durable"

	"github.com/go-json-experiment/json"
)

// The releases of the demo: the second is a newer commit of the first.
const (
	firstRelease  = "medium-composite"
	secondRelease = "next-composite"
)

// windowSecs is the freshness window of the demo, ten years: its releases are
// real, and so they are old.
const windowSecs = "315360000"

const writerFile = "writer.key"

// start brings everything up.
func (s *stage) start(ctx context.Context) error {
	for _, name := range []string{firstRelease, secondRelease} {
		if err := unpack(name, s.dir); err != nil {
			return err
		}
	}
	var err error
	if s.tls, err = issue(s.dir); err != nil {
		return err
	}
	if err := s.publish(firstRelease); err != nil {
		return err
	}
	s.say("A NATS server (embedded-nats), and a simulated control plane that serves a real signed release over mutual TLS.")
	if _, err := s.run("nats     |", s.path("embedded-nats"), "run", "--listen", s.nats, "--store-dir", s.path("store"), "--log-level", "warn"); err != nil {
		return err
	}
	if err := until(ctx, "wait for the NATS server", func() bool { return listens(ctx, s.nats) }); err != nil {
		return err
	}
	if err := s.startControlPlane(); err != nil {
		return err
	}
	s.say("The poller makes a log and polls every second. The release is real and old: the demo gives a freshness window of ten years.")
	if _, err := s.run("poller   |", s.path("poller"), "run", "--fleet", "demo", "--nats-url", s.url(),
		"--control-plane-url", "https://127.0.0.1:"+strconv.Itoa(s.plane), "--ca-cert", s.tls.CA,
		"--client-cert", s.tls.Cert, "--client-key", s.tls.Key, "--trust-file", s.path("trust.json"),
		"--writer-key-file", s.path(writerFile), "--provision", "--interval", "1s",
		"--manifest-freshness-window-secs", windowSecs); err != nil {
		return err
	}
	return until(ctx, "wait for the first tick", func() bool {
		_, err := s.ask(ctx, s.logArgs("show")...)
		return err == nil
	})
}

func (s *stage) url() string { return "nats://" + s.nats }

func (s *stage) logArgs(command string, more ...string) []string {
	return append([]string{command, "--fleet", "demo", "--nats-url", s.url()}, more...)
}

// publish makes the control plane serve the release from the next request on.
func (s *stage) publish(name string) error {
	return durable.ReplaceSymlink(name, s.path("served"))
}

func (s *stage) startControlPlane() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = s.run("plane    |", self, "control-plane", "--port", strconv.Itoa(s.plane), s.dir)
	return err
}

func (s *stage) startReducer() (*exec.Cmd, error) {
	return s.run("reducer  |", s.path("reducer"), "run", "--fleet", "demo", "--nats-url", s.url(),
		"--state-dir", s.path("state"), "--trust-file", s.path("trust.json"), "--trust-first-use",
		"--manifest-freshness-window-secs", windowSecs, "--http-listen", s.http)
}

// set is what the reducer says that it holds.
type set struct {
	SetDigest string             `json:"setDigest"`
	Rollouts  map[string]rollout `json:"rollouts"`
}

type rollout struct {
	RolloutID string `json:"rolloutId"`
}

// reducerSet asks the reducer for its set, once it has caught up with the log.
func (s *stage) reducerSet(ctx context.Context) (held set, err error) {
	if _, err := get(ctx, "http://"+s.http+"/readyz"); err != nil {
		return held, err
	}
	answer, err := get(ctx, "http://"+s.http+"/v1/set")
	if err != nil {
		return held, err
	}
	err = json.Unmarshal(answer, &held)
	return held, err
}

func (s set) String() string {
	return fmt.Sprintf("set %.12s… with channels %s", s.SetDigest, strings.Join(slices.Sorted(maps.Keys(s.Rollouts)), ", "))
}

// since describes every channel that differs from the set before.
func (s set) since(before set) (changes []string) {
	for _, channel := range slices.Sorted(maps.Keys(s.Rollouts)) {
		if from, to := before.Rollouts[channel], s.Rollouts[channel]; from != to {
			changes = append(changes, fmt.Sprintf("%s: %s → %s", channel, from.RolloutID, to.RolloutID))
		}
	}
	return changes
}

// changed waits until the reducer holds another set than before.
func (s *stage) changed(ctx context.Context, before set) (set, error) {
	var now set
	err := until(ctx, "wait for another set", func() bool {
		var err error
		now, err = s.reducerSet(ctx)
		return err == nil && now.SetDigest != before.SetDigest
	})
	return now, err
}

func (s *stage) firstSet(ctx context.Context) error {
	s.say("The reducer verifies everything again and keeps the set. The events so far and those to come:")
	if _, err := s.startReducer(); err != nil {
		return err
	}
	if _, err := s.run("events   |", s.path("fleetlog"), s.logArgs("events", "--follow")...); err != nil {
		return err
	}
	held, err := s.changed(ctx, set{})
	if err == nil {
		s.show("=>", "the reducer holds "+held.String())
	}
	return err
}

func (s *stage) nextRelease(ctx context.Context) error {
	before, err := s.reducerSet(ctx)
	if err != nil {
		return err
	}
	s.say("A newer release is published.")
	if err := s.publish(secondRelease); err != nil {
		return err
	}
	held, err := s.changed(ctx, before)
	if err != nil {
		return err
	}
	s.show("=>", "the reducer now holds "+held.String())
	for _, change := range held.since(before) {
		s.show("=>", change)
	}
	return nil
}

// outcome waits until the newest tick has the outcome.
func (s *stage) outcome(ctx context.Context, want string) error {
	return until(ctx, "wait for a tick that is "+want, func() bool {
		out, err := s.ask(ctx, s.logArgs("events", "-o", "jsonl")...)
		lines := strings.Split(out, "\n")
		return err == nil && strings.Contains(lines[len(lines)-1], `"outcome":"`+want+`"`)
	})
}

func (s *stage) controlPlaneStops(ctx context.Context) error {
	before, err := s.reducerSet(ctx)
	if err != nil {
		return err
	}
	s.say("The control plane stops. Ticks are skipped; the set is retained.")
	plane := s.procs[1]
	if err := s.stop(plane, syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.outcome(ctx, "skipped"); err != nil {
		return err
	}
	after, err := s.reducerSet(ctx)
	if err != nil || after.SetDigest != before.SetDigest {
		return fmt.Errorf("set was not retained: %v, then %v (%w)", before, after, err)
	}
	s.show("=>", "still "+after.String())
	if err := s.startControlPlane(); err != nil {
		return err
	}
	return s.outcome(ctx, "verified")
}

func (s *stage) tamperedRollout(ctx context.Context) error {
	before, err := s.reducerSet(ctx)
	if err != nil {
		return err
	}
	s.say("The control plane serves one rollout with a changed byte. Only that channel leaves the set.")
	if err := s.tamper("tampered"); err != nil {
		return err
	}
	if err := s.publish("tampered"); err != nil {
		return err
	}
	held, err := s.changed(ctx, before)
	if err == nil && len(held.Rollouts) != len(before.Rollouts)-1 {
		err = fmt.Errorf("set lost more than one channel: %v, then %v", before, held)
	}
	if err == nil {
		s.show("=>", "now "+held.String())
	}
	return err
}

// tamper copies the second release and changes one letter in one rollout.
func (s *stage) tamper(name string) error {
	if err := os.CopyFS(s.path(name), os.DirFS(s.path(secondRelease))); err != nil {
		return err
	}
	rollouts, err := filepath.Glob(s.path(name + "/rollouts/*.json"))
	if err != nil || len(rollouts) == 0 {
		return fmt.Errorf("no rollouts to tamper with (%w)", err)
	}
	victim := rollouts[len(rollouts)-1]
	data, err := os.ReadFile(victim)
	if err != nil {
		return err
	}
	data = bytes.Replace(data, []byte("nixos-system"), []byte("nixos-tysTem"), 1)
	return os.WriteFile(victim, data, 0o600) //nolint:gosec // the demo's own folder
}

func (s *stage) reducerKilled(ctx context.Context) error {
	before, err := s.reducerSet(ctx)
	if err != nil {
		return err
	}
	s.say("The reducer is killed with SIGKILL and started again: it goes on from its checkpoint.")
	for _, p := range s.procs {
		if filepath.Base(p.Path) == "reducer" {
			if err := s.stop(p, syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	if _, err := s.startReducer(); err != nil {
		return err
	}
	var held set
	if err := until(ctx, "wait for the reducer", func() bool {
		held, err = s.reducerSet(ctx)
		return err == nil
	}); err != nil {
		return err
	}
	if held.SetDigest != before.SetDigest {
		return fmt.Errorf("another set after the restart: %v, then %v", before, held)
	}
	s.show("=>", "the same "+held.String())
	s.say("Healed: the untampered release is served again.")
	if err := s.publish(secondRelease); err != nil {
		return err
	}
	_, err = s.changed(ctx, held)
	return err
}

// lookAround prints commands for the running demo.
func (s *stage) lookAround() {
	s.say("The demo stays up; end it with Ctrl-C. To look around:")
	for _, line := range []string{
		"nats --server " + s.url() + " sub --stream nixfleet-demo-events --all --raw 'nixfleet.demo.event.>'",
		s.path("fleetlog") + " " + strings.Join(s.logArgs("show", "--trust-file", s.path("trust.json"), "--freshness-window-secs", windowSecs), " "),
		s.path("fleetlog") + " " + strings.Join(s.logArgs("events"), " "),
		"curl http://" + s.http + "/v1/set",
		"ls -l " + s.path("state/current/"),
	} {
		s.show("$", line)
	}
}
