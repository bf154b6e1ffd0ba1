package cmd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fleetlog/internal/deployment"
)

// TestEmbeddedNatsTellsItsHealth asks a node of a cluster that waits for its peers,
// which is not ready, and a server alone, which is. Both end with success when they
// are told to stop.
func TestEmbeddedNatsTellsItsHealth(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	ports, err := deployment.FreePorts(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	node := fmt.Sprintf("server_name: n1\ncluster { name: c, listen: %q, routes: [ %q ] }\n",
		deployment.Address(ports[0]), "nats-route://"+deployment.Address(ports[1]))
	for name, c := range map[string]struct {
		config string
		status int
		reason string
	}{
		"a node without peers": {node, http.StatusServiceUnavailable, "server is unavailable: "},
		"a server alone":       {"# nothing\n", http.StatusOK, `{"ok":true}`},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := deployment.Start(t.Context(), binary("embedded-nats"), []string{
			"run", "--config", file, "--listen", "127.0.0.1:-1", "--store-dir", filepath.Join(dir, "store"),
			"--http-listen", deployment.Address(ports[2]),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { <-p.Done() })
		server := daemon{p, t}
		if _, err := server.Await(ctx, regexp.MustCompile(`msg="serving HTTP"`)); err != nil {
			t.Fatal(err)
		}
		var said string
		wait(ctx, t, name+" to tell its health", func() bool {
			var status int
			status, said = get(ctx, t, "http://"+deployment.Address(ports[2])+"/readyz")
			return status == c.status && strings.Contains(said, c.reason)
		})
		if c.status != http.StatusOK && strings.Contains(server.Said(), "msg=ready") {
			t.Errorf("%s says that it is ready:\n%s", name, server.Said())
		}
		server.stop()
	}
}

func get(ctx context.Context, t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(data)
}
