//go:build failpoints && linux

package failpoint

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// At is called right before what the name says is done. Its error is what the
// system would have refused that with.
func At(name string) error { return process.at(name) }

// process is the one plan of this process: what stands at a point in the middle
// of the program cannot be handed one.
var process plan

type plan struct {
	mu    sync.Mutex
	text  []byte
	steps []step
}

type step struct {
	point, action string
	passage       int // at which something is done
	passed        int
}

// at is serial: a process that is held up passes no other point meanwhile.
func (p *plan) at(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := os.ReadFile(os.Getenv("FLEETLOG_FAILPOINTS")) //nolint:gosec // the tests name it
	if err != nil {
		text = nil
	}
	if !bytes.Equal(text, p.text) {
		p.text, p.steps = text, parse(text)
	}
	for i := range p.steps {
		if err := p.steps[i].pass(name); err != nil {
			return err
		}
	}
	return nil
}

func parse(text []byte) []step {
	var steps []step
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		s := step{passage: 1}
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if _, err := fmt.Sscan(lines.Text(), &s.point, &s.action, &s.passage); err != nil && s.action == "" {
			panic(fmt.Sprintf("failpoint %q: want POINT ACTION [N]", lines.Text()))
		}
		steps = append(steps, s)
	}
	return steps
}

func (s *step) pass(name string) error {
	if s.point != "*" && s.point != name {
		return nil
	}
	s.passed++
	if s.passed < s.passage {
		return nil
	}
	switch s.action {
	case "kill", "stop":
		return s.signal(name)
	case "ENOSPC":
		return syscall.ENOSPC
	case "EIO":
		return syscall.EIO
	}
	panic(fmt.Sprintf("failpoint %s: no action is called %s", name, s.action))
}

// signal does once what the step says, and comes back when the process goes on.
// The signal is for this thread: sent to the process, another one could take it
// while this one goes past the point.
func (s *step) signal(name string) error {
	if s.passed > s.passage {
		return nil
	}
	fmt.Fprintf(os.Stderr, "failpoint: %s at %s\n", s.action, name)
	signal := syscall.SIGKILL
	if s.action == "stop" {
		signal = syscall.SIGSTOP
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), signal); err != nil {
		return fmt.Errorf("failpoint %s: %w", name, err)
	}
	return nil
}
