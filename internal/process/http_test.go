package process

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
)

func TestListenRefusesOtherMachines(t *testing.T) {
	for address, want := range map[string]error{
		"127.0.0.1:0": nil, "[::1]:0": nil, "localhost:0": nil, "127.8.8.8:0": nil,
		"0.0.0.0:0": ErrRemoteListen, ":0": ErrRemoteListen, "[::]:0": ErrRemoteListen,
		"192.0.2.1:0": ErrRemoteListen, "example.org:0": ErrRemoteListen,
	} {
		l, err := Listen(t.Context(), address, false)
		if err == nil {
			err = l.Close()
		} else if errors.Is(err, syscall.EADDRNOTAVAIL) && address == "[::1]:0" {
			err = nil // a machine without IPv6
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	if _, err := Listen(t.Context(), "127.0.0.1", false); err == nil {
		t.Error("an address without port was accepted")
	}
	l, err := Listen(t.Context(), "0.0.0.0:0", true)
	if err != nil {
		t.Fatalf("allowed: %v", err)
	}
	defer l.Close()
	_, err = Listen(t.Context(), l.Addr().String(), true)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "give another address") {
		t.Errorf("address in use: %v", err)
	}
}

func TestListenReplacesOnlyADeadSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), "unix:"+path, false)
	if err != nil {
		t.Fatalf("over a dead socket: %v", err)
	}
	if _, err := Listen(t.Context(), "unix:"+path, false); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("over a live socket: %v, want EADDRINUSE", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "unix:"+path, false); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("over a file: %v, want EADDRINUSE", err)
	}
}

// serve runs Serve until the returned function is called, which gives its error.
func serve(t *testing.T, h http.Handler) (url string, stop func() error) {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, h, logrus.New()) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		return <-served
	}
}

func TestServeLetsAnAnswerFinish(t *testing.T) {
	arrived := make(chan struct{})
	url, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done() // a stream ends when the server stops
		_, _ = io.WriteString(w, "the end")
	}))
	body := make(chan string, 1)
	go func() {
		response, err := http.Get(url)
		if err != nil {
			body <- err.Error()
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			text = []byte(err.Error())
		}
		body <- string(text)
	}()
	<-arrived
	if err := stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if got := <-body; got != "the end" {
		t.Errorf("answer %q, want the end", got)
	}
	if _, err := http.Get(url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the stop: %v, want connection refused", err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), l, http.NotFoundHandler(), logrus.New()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve on a closed listener: %v, want net.ErrClosed", err)
	}
}

func TestServeLimitsTheHeader(t *testing.T) {
	url, stop := serve(t, http.NotFoundHandler())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", response.StatusCode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
