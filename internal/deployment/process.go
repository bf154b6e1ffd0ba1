// Package deployment runs the programs as processes of this machine: it starts
// them, ends them gently or not, holds them up, and keeps what they say. Tests
// and the soak are made of it.
package deployment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// Build compiles the four programs of the module in root into dir, with the
// build tags given.
func Build(ctx context.Context, root, dir string, tags ...string) error {
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, tag := range tags {
		args = append(args, "-tags", tag)
	}
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/...")...) //nolint:gosec // running programs is the purpose
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// Process is a program at work.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // once done

	mu      sync.Mutex
	said    []byte
	changed chan struct{} // closed when more is said
}

// Start runs the program at path, at the longest until ctx ends, when it is
// killed. Further environment entries have the form NAME=value.
func Start(ctx context.Context, path string, args []string, environment ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, path, args...), done: make(chan struct{}), changed: make(chan struct{})} //nolint:gosec // running programs is the purpose
	p.cmd.Stderr = writer{p}
	p.cmd.Env = append(os.Environ(), environment...)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// maxSaid bounds what is kept of a program's standard error, in bytes: the
// newest half at least.
const maxSaid = 1 << 20

// writer takes what the program says on its standard error.
type writer struct{ p *Process }

func (w writer) Write(said []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.said = append(w.p.said, said...)
	if excess := len(w.p.said) - maxSaid; excess > 0 {
		w.p.said = append([]byte(nil), w.p.said[max(excess, maxSaid/2):]...)
	}
	close(w.p.changed)
	w.p.changed = make(chan struct{})
	return len(said), nil
}

// Said is the newest part of what the program has written to its standard
// error.
func (p *Process) Said() string {
	said, _ := p.listen()
	return said
}

func (p *Process) listen() (said string, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.said), p.changed
}

// Await waits until the program has said what the pattern matches, and returns
// the match and its groups.
func (p *Process) Await(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for {
		said, changed := p.listen()
		if match := pattern.FindStringSubmatch(said); match != nil {
			return match, nil
		}
		select {
		case <-changed:
		case <-p.done:
			if match := pattern.FindStringSubmatch(p.Said()); match != nil {
				return match, nil
			}
			return nil, fmt.Errorf("%w before it said %s: %s", p.ended(), pattern, p.Said())
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w: %s", pattern, context.Cause(ctx), p.Said())
		}
	}
}

// ErrEnded says that the program had ended by itself.
var ErrEnded = errors.New("program has ended")

func (p *Process) ended() error {
	if p.err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, p.err)
	}
	return ErrEnded
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is what the program ended with, once it has.
func (p *Process) Err() error { return p.err }

// Ended tells whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill ends the program at once, and waits for that. Error: [ErrEnded] when it
// had ended before.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return p.ended()
	}
	return nil
}

// Stop asks the program to end, and waits for that. Error: what it ended with
// other than success.
func (p *Process) Stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.done
	return p.err
}

// Pause holds the program up, as a suspended machine does, and waits until it
// stands still; [Process.Resume] lets it go on.
func (p *Process) Pause(ctx context.Context) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return p.AwaitPaused(ctx)
}

// Resume ends a pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

// AwaitPaused waits until the program stands still.
func (p *Process) AwaitPaused(ctx context.Context) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		still, err := p.paused()
		if still || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for a pause: %w", context.Cause(ctx))
		}
	}
}

func (p *Process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return p.ended()
	} else if err != nil {
		return fmt.Errorf("signal %s: %w", filepath.Base(p.cmd.Path), err)
	}
	return nil
}

// state of a process is the letter behind the name in parentheses (proc(5)).
var stateOf = regexp.MustCompile(`^\d+ \(.*\) ([A-Za-z])`)

func (p *Process) paused() (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // it has ended
	}
	if err != nil {
		return false, fmt.Errorf("read state of %s: %w", filepath.Base(p.cmd.Path), err)
	}
	match := stateOf.FindSubmatch(stat)
	return match != nil && string(match[1]) == "T", nil
}

// ResidentPeak is the most memory that the program has held resident so far, in
// bytes. It must still run.
func (p *Process) ResidentPeak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of %s: %w", filepath.Base(p.cmd.Path), err)
	}
	match := peakOf.FindSubmatch(status)
	if match == nil {
		return 0, fmt.Errorf("read memory of %s: no peak in its status", filepath.Base(p.cmd.Path))
	}
	var kilobytes int64
	if _, err := fmt.Sscan(string(match[1]), &kilobytes); err != nil {
		return 0, fmt.Errorf("read memory of %s: %w", filepath.Base(p.cmd.Path), err)
	}
	return kilobytes << 10, nil
}

var peakOf = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)
