package deployment

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(t.Context(), "/bin/sh", []string{"-c", script}, "GREETING=hello")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-p.Done() })
	return p
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestProcessIsAwaited(t *testing.T) {
	p := start(t, `echo "$GREETING 1" >&2; read forever`)
	match, err := p.Await(soon(t), regexp.MustCompile(`hello (\d)`))
	if err != nil || match[1] != "1" {
		t.Errorf("await: %q, %v", match, err)
	}
	<-p.Done() // standard input is empty
	if _, err := p.Await(soon(t), regexp.MustCompile(`never`)); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "hello 1") {
		t.Errorf("await what is never said: %v, want ErrEnded and what was said", err)
	}
	if err := p.Kill(); !errors.Is(err, ErrEnded) {
		t.Errorf("kill what has ended: %v, want ErrEnded", err)
	}
	if err := p.Stop(); !errors.Is(err, ErrEnded) {
		t.Errorf("stop what has ended: %v, want ErrEnded", err)
	}
}

const standing = `echo up >&2; while :; do sleep 0.01; done`

func TestProcessIsKilled(t *testing.T) {
	p := start(t, standing)
	if _, err := p.Await(soon(t), regexp.MustCompile(`up`)); err != nil {
		t.Fatal(err)
	}
	if peak, err := p.ResidentPeak(); err != nil || peak < 1<<16 {
		t.Errorf("resident peak %d bytes, %v", peak, err)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if !p.Ended() || p.Err() == nil {
		t.Errorf("after the kill: ended %v, %v", p.Ended(), p.Err())
	}
}

func TestProcessIsStopped(t *testing.T) {
	p := start(t, `trap 'exit 3' TERM; `+standing)
	if _, err := p.Await(soon(t), regexp.MustCompile(`up`)); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("stop: %v, want exit status 3", err)
	}
}

func TestProcessIsPaused(t *testing.T) {
	p := start(t, standing)
	if err := p.Pause(soon(t)); err != nil {
		t.Fatal(err)
	}
	if still, err := p.paused(); !still || err != nil {
		t.Errorf("paused: %v, %v", still, err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	if still, err := p.paused(); still || err != nil {
		t.Errorf("paused after the resumption: %v, %v", still, err)
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.AwaitPaused(soon(t)); !errors.Is(err, ErrEnded) {
		t.Errorf("wait for a pause of what has ended: %v, want ErrEnded", err)
	}
}

func TestSaidIsBounded(t *testing.T) {
	p := start(t, `yes 0123456789 | head -n 200000 >&2; echo last >&2; read forever`)
	if _, err := p.Await(soon(t), regexp.MustCompile(`last`)); err != nil {
		t.Fatal(err)
	}
	if said := p.Said(); len(said) > maxSaid || len(said) < maxSaid/2 {
		t.Errorf("%d bytes are kept", len(said))
	}
}

func TestProcessEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, "/bin/sh", []string{"-c", standing})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.Done()
	if p.Err() == nil {
		t.Error("it ended with success, want it killed")
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(t.Context(), "/nonexistent", nil); err == nil {
		t.Error("a program that is not there was started")
	}
}
