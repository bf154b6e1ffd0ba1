package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"fleetlog/internal/fleetsim"
)

// stage holds the processes and files of one demo.
type stage struct {
	dir   string
	out   sync.Mutex
	procs []*exec.Cmd
	lines sync.WaitGroup
	nats  string // address of the server
	http  string // address of the reducer
	plane int    // port of the control plane
	tls   fleetsim.ClientFiles
	step  int
}

func newStage(ctx context.Context) (*stage, error) {
	dir, err := os.MkdirTemp("", "fleetlog-demo-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return s, err
	}
	s.nats, s.plane, s.http = fmt.Sprintf("127.0.0.1:%d", ports[0]), ports[1], fmt.Sprintf("127.0.0.1:%d", ports[2])
	s.say("Compiling the four commands.")
	build := exec.CommandContext(ctx, "go", "build", "-o", dir, "./cmd/...") //nolint:gosec // the demo's own folder
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return s, errors.Join(fmt.Errorf("compile: %w; run the demo from the project's folder", err), s.close())
	}
	return s, nil
}

// freePorts picks ports that nothing listens on.
func freePorts(ctx context.Context, n int) (ports []int, err error) {
	var lc net.ListenConfig
	for range n {
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// say narrates.
func (s *stage) say(text string) {
	s.out.Lock()
	defer s.out.Unlock()
	s.step++
	fmt.Printf("\n%d. %s\n", s.step, text)
}

func (s *stage) show(prefix, line string) {
	s.out.Lock()
	defer s.out.Unlock()
	fmt.Printf("   %s %s\n", prefix, line)
}

// run starts a process whose output lines are shown behind the prefix.
func (s *stage) run(prefix, program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // the demo's own programs, stopped by close
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+s.path("seen"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.procs = append(s.procs, cmd)
	for _, pipe := range []io.Reader{stdout, stderr} {
		s.lines.Go(func() {
			scanner := bufio.NewScanner(pipe)
			for scanner.Scan() {
				s.show(prefix, scanner.Text())
			}
		})
	}
	return cmd, nil
}

// stop ends a process by the signal and waits for it.
func (s *stage) stop(cmd *exec.Cmd, signal os.Signal) error {
	if cmd == nil || cmd.ProcessState != nil {
		return nil
	}
	if err := cmd.Process.Signal(signal); err != nil {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (signal == syscall.SIGKILL || exit.Sys().(syscall.WaitStatus).Signaled()) {
		return nil
	}
	return err
}

// close stops everything, last started first, and removes the files.
func (s *stage) close() error {
	var errs []error
	for i := len(s.procs) - 1; i >= 0; i-- {
		errs = append(errs, s.stop(s.procs[i], syscall.SIGTERM))
	}
	s.lines.Wait()
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// ask runs fleetlog and returns its answer.
func (s *stage) ask(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.path("fleetlog"), args...) //nolint:gosec // the demo's own program
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+s.path("seen"))
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// listens tells whether something accepts connections at the address.
func listens(ctx context.Context, address string) bool {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// maxAnswer is more than the reducer says of a demo's set.
const maxAnswer = 1 << 20

// get fetches what the reducer serves; any status but 200 is an error.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxAnswer))
}

// lookEvery is how often the demo looks whether a step has had its effect.
const lookEvery = 200 * time.Millisecond

// until waits for a condition, or for the demo's time to be over.
func until(ctx context.Context, what string, holds func() bool) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
