package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/internal/fleetsim"
)

// planeDir or brokerDir is set for a process that serves: its directory. planeDelay
// is what every request to a control plane takes.
const (
	planeDir   = "FLEETLOG_BENCH_PLANE"
	planeDelay = "FLEETLOG_BENCH_DELAY"
	brokerDir  = "FLEETLOG_BENCH_BROKER"
)

func TestMain(m *testing.M) {
	for name, serve := range map[string]func(dir string) error{planeDir: servePlane, brokerDir: serveBroker} {
		dir := os.Getenv(name)
		if dir == "" {
			continue
		}
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startServing runs this program once more, to serve until the benchmark is over,
// and returns the URL that it prints.
func (s *scene) startServing(environment ...string) (url string, pid int) {
	s.Helper()
	self, err := os.Executable()
	s.must(err)
	served := exec.CommandContext(s.Context(), self)
	served.Env = append(os.Environ(), environment...)
	served.Stderr = os.Stderr
	stdin, err := served.StdinPipe()
	s.must(err)
	stdout, err := served.StdoutPipe()
	s.must(err)
	s.must(served.Start())
	s.Cleanup(func() {
		_ = stdin.Close()
		_ = served.Wait()
	})
	url, err = bufio.NewReader(stdout).ReadString('\n')
	s.must(err)
	return strings.TrimSpace(url), served.Process.Pid
}

// servePlane serves the releases 0 and 1 in the directory, the other one from each
// request for /switch on, until its standard input ends.
func servePlane(dir string) error {
	delay, err := time.ParseDuration(os.Getenv(planeDelay))
	if err != nil {
		return err
	}
	plane, err := fleetsim.StartFromFiles(context.Background(), dir, 0)
	if err != nil {
		return err
	}
	var releases [2]fs.FS
	for i := range releases {
		if releases[i], err = inMemory(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	plane.SetRelease(releases[0])
	var switched atomic.Int64
	plane.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/switch" {
			plane.SetRelease(releases[switched.Add(1)%2])
			return true
		}
		time.Sleep(delay) // the distance is part of what is measured
		return false
	})
	fmt.Println(plane.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return plane.Close()
}

func inMemory(dir string) (fs.FS, error) {
	release := fleetsim.Release{}
	return release, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		release[name] = file(data)
		return err
	})
}

// plane is a control plane in a process of its own.
type plane struct {
	*scene
	url   string
	files fleetsim.ClientFiles
}

// startPlane serves a fleet, and the same fleet signed anew.
func (s *scene) startPlane(hosts, channels int, delay time.Duration) *plane {
	s.Helper()
	dir := s.TempDir()
	pki, err := fleetsim.NewPKI(time.Now())
	s.must(err)
	s.must(pki.WriteServer(dir))
	p := &plane{scene: s}
	p.files, err = pki.WriteClient(s.TempDir(), time.Now().Add(time.Hour))
	s.must(err)
	for i := range 2 {
		release, err := fleetsim.Fleet{
			Hosts: hosts, Channels: channels, Commit: fmt.Sprintf("%040x", 1), SignedAt: s.now.Add(time.Duration(i) * time.Second),
		}.Sign(s.signer)
		s.must(err)
		s.must(os.CopyFS(filepath.Join(dir, fmt.Sprint(i)), release))
	}
	p.url, _ = s.startServing(planeDir+"="+dir, planeDelay+"="+delay.String())
	return p
}

// switchRelease makes what is served the other one.
func (p *plane) switchRelease(client *http.Client) {
	response, err := client.Get(p.url + "/switch")
	p.must(err)
	p.must(response.Body.Close())
}

// clientConfig is that of a client which shows its certificate.
func (p *plane) clientConfig() *tls.Config {
	certificate, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	p.must(err)
	ca, err := os.ReadFile(p.files.CA)
	p.must(err)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: pool(ca)}
	return config
}
