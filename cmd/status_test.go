package cmd_test

import (
	"context"
	"errors"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"

	"github.com/go-json-experiment/json"
)

const statusPatience = 2 * time.Minute

// TestControlPlaneStops: within three ticks the status is degraded, while the last
// success keeps its time and the last attempt moves. The first verified tick behind
// it is the recovery; nothing else says so.
func TestControlPlaneStops(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), statusPatience)
	defer cancel()
	r := newRivals(ctx, t, 1)
	pki, err := fleetsim.NewPKI(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files, err := pki.WriteClient(t.TempDir(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	plane := r.plane(ctx, pki, 0)
	port := portOf(t, plane.URL())
	r.poller = r.start("poller", "run", "--fleet", fleet, "--nats-url", r.url, "--trust-file", r.trustFile, "--writer-key-file", r.key(0),
		"--control-plane-url", plane.URL(), "--ca-cert", files.CA, "--client-cert", files.Cert, "--client-key", files.Key,
		"--interval", "1s", "--tick-timeout", "30s")

	before := r.statusUntil(ctx, "it is healthy", 0, func(*status.Status) bool { return true })
	if err := plane.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := r.newest(ctx)
	down := r.statusUntil(ctx, "three more ticks", 1, func(s *status.Status) bool { return s.Resolved.Tick >= stopped+3 })
	poller := down.Processes[0]
	if down.Health != status.Degraded || poller.Reason != events.Unreachable {
		t.Errorf("while it is down: %+v", down)
	}
	if skipped := r.tickAt(ctx, r.skipped(down).From); skipped > stopped+3 {
		t.Errorf("the control plane stopped at tick %d, and tick %d is the first to be skipped", stopped, skipped)
	}
	later := r.statusUntil(ctx, "another tick", 1, func(s *status.Status) bool { return s.Resolved.Tick > down.Resolved.Tick })
	if *later.Processes[0].LastSuccess != *poller.LastSuccess || *later.Processes[0].LastAttempt <= *poller.LastAttempt || *poller.LastSuccess < *before.Processes[0].LastSuccess {
		t.Errorf("healthy %+v, down %+v, later %+v", before.Processes[0], poller, later.Processes[0])
	}

	plane = r.plane(ctx, pki, port)
	t.Cleanup(func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	up := r.statusUntil(ctx, "it is healthy again", 0, func(*status.Status) bool { return true })
	if *up.Processes[0].LastSuccess <= *poller.LastSuccess || r.skipped(up).Until == nil {
		t.Fatalf("up again: %+v", up)
	}
	r.recovery(ctx, *r.skipped(up).Until)
	r.poller.stop()
}

// skipped is the newest outage in which ticks were skipped; a busy machine may have
// missed some too.
func (r *rivals) skipped(s *status.Status) status.Outage {
	r.t.Helper()
	for _, o := range s.Outages {
		if o.Skipped {
			return o
		}
	}
	r.t.Fatalf("no tick was skipped: %+v", s)
	return status.Outage{}
}

// plane serves the newest release.
func (r *rivals) plane(ctx context.Context, pki *fleetsim.PKI, port int) *fleetsim.ControlPlane {
	r.t.Helper()
	plane, err := fleetsim.Start(context.WithoutCancel(ctx), pki, port)
	if err != nil {
		r.t.Fatal(err)
	}
	release, err := fleetsim.Fleet{Hosts: 6, Channels: 2, Closures: 1, Commit: "5c0ffee", SignedAt: r.began}.Sign(r.signer)
	if err != nil {
		r.t.Fatal(err)
	}
	plane.SetRelease(release)
	return plane
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// statusUntil asks fleetlog status until it exits with the code and holds.
func (r *rivals) statusUntil(ctx context.Context, what string, code int, holds func(*status.Status) bool) *status.Status {
	r.t.Helper()
	var s status.Status
	wait(ctx, r.t, what, func() bool {
		cmd := exec.CommandContext(ctx, binary("fleetlog"), "status", "--fleet", fleet, "--nats-url", r.url, "--trust-file", r.trustFile, "-o", "json")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			r.t.Fatal(err)
		}
		s = status.Status{}
		if err := json.Unmarshal(out, &s); err != nil {
			r.t.Fatalf("%v: %s", err, out)
		}
		return cmd.ProcessState.ExitCode() == code && s.Resolved != nil && holds(&s)
	})
	return &s
}

// newest is the number of the newest tick.
func (r *rivals) newest(ctx context.Context) uint64 {
	r.t.Helper()
	head, err := r.log.Head(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return head.Number
}

// tickAt is the number of the tick of that time.
func (r *rivals) tickAt(ctx context.Context, at events.Time) uint64 {
	r.t.Helper()
	for _, tick := range r.ticks(ctx) {
		if tick.Head.Time == at {
			return tick.Head.Number
		}
	}
	r.t.Fatalf("no tick is of %s", at)
	return 0
}

// recovery demands that the tick of that time is the first verified one behind
// skipped ones, and says what any statement does.
func (r *rivals) recovery(ctx context.Context, at events.Time) {
	r.t.Helper()
	before := events.Verified
	known := regexp.MustCompile(`^(FleetFetched|RolloutVerified)\.v1$`)
	for _, tick := range r.ticks(ctx) {
		if tick.Head.Time == at {
			if before != events.Skipped || tick.Completed.Outcome != events.Verified {
				r.t.Errorf("tick %d is %s behind one that was %s", tick.Head.Number, tick.Completed.Outcome, before)
			}
			for _, f := range tick.Findings {
				if !known.MatchString(f.Head().Type) {
					r.t.Errorf("the recovery states a %s", f.Head().Type)
				}
			}
			return
		}
		before = tick.Completed.Outcome
	}
	r.t.Errorf("no tick is of %s, when it is said to be up again", at)
}
