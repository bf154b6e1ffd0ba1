package cmd_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"fleetlog/internal/fleetsim"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
)

// startBroker starts embedded-nats with the flags given, on a free port and
// with its store in $WORK/store, and lets every program find it by its
// environment. It is killed when the script ends.
func startBroker(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! broker")
	}
	cmd := exec.Command(binary("embedded-nats"), append([]string{
		"run", "--listen", "127.0.0.1:-1", "--store-dir", ts.MkAbs("store"), "--log-format", "json", "--no-sync",
	}, args...)...)
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewReader(stderr)
	drained := make(chan struct{})
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	url, said := readyURL(lines)
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	if url == "" {
		ts.Fatalf("broker did not become ready:\n%s", said)
	}
	ts.Setenv("NATS", url)
	ts.Setenv("ADDRESS", strings.TrimPrefix(url, "nats://"))
	for _, program := range []string{"NIXFLEET_POLLER", "NIXFLEET_REDUCER", "FLEETLOG"} {
		ts.Setenv(program+"_NATS_URL", url)
	}
}

// readyURL reads the log up to the line with the broker's URL; there is none
// when the broker ends before it is ready.
func readyURL(lines *bufio.Reader) (url, said string) {
	var all strings.Builder
	for {
		line, err := lines.ReadString('\n')
		all.WriteString(line)
		var entry struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &entry, json.MatchCaseInsensitiveNames(true)) == nil && entry.Msg == "ready" {
			return entry.URL, all.String()
		}
		if err != nil {
			return "", all.String()
		}
	}
}

// startPlane serves a release directory as a control plane does, over mutual
// TLS, and lets the poller find it by its environment. Beside the client's
// files in tls/ there are those of a certificate that has expired, in
// tls/expired/, and of another authority, in tls/other/; and those of a server of
// the same authority, in tls/server/.
func startPlane(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: plane dir")
	}
	now := time.Now()
	pki, err := fleetsim.NewPKI(now)
	ts.Check(err)
	files := clientFiles(ts, pki, "tls", now.Add(time.Hour))
	clientFiles(ts, pki, "tls/expired", now.Add(-time.Hour))
	other, err := fleetsim.NewPKI(now)
	ts.Check(err)
	clientFiles(ts, other, "tls/other", now.Add(time.Hour))
	ts.Check(os.Mkdir(ts.MkAbs("tls/server"), 0o700))
	ts.Check(pki.WriteServer(ts.MkAbs("tls/server")))

	plane, err := fleetsim.Start(context.Background(), pki, 0)
	ts.Check(err)
	ts.Defer(func() {
		if err := plane.Close(); err != nil {
			ts.Logf("stop control plane: %v", err)
		}
	})
	plane.SetRelease(os.DirFS(ts.MkAbs(args[0])))
	for name, value := range map[string]string{
		"CONTROL_PLANE_URL": plane.URL(), "CA_CERT": files.CA, "CLIENT_CERT": files.Cert, "CLIENT_KEY": files.Key,
	} {
		ts.Setenv("NIXFLEET_POLLER_"+name, value)
	}
}

func clientFiles(ts *testscript.TestScript, pki *fleetsim.PKI, dir string, until time.Time) fleetsim.ClientFiles {
	ts.Check(os.MkdirAll(ts.MkAbs(dir), 0o700))
	files, err := pki.WriteClient(ts.MkAbs(dir), until)
	ts.Check(err)
	return files
}
