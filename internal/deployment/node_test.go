package deployment

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFreePorts(t *testing.T) {
	ports, err := FreePorts(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("ports %v are not 20", ports)
	}
	for _, port := range ports {
		door, err := net.Listen("tcp", Address(port))
		if err != nil {
			t.Fatal(err)
		}
		door.Close()
	}
}

// TestNode demands that a node keeps its name, its address and its config file,
// and that no store is taken from a server that runs.
func TestNode(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"msg=ready $*\" >&2\nwhile :; do sleep 0.01; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := NewCluster(t.Context(), program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitReady(soon(t)); err != nil {
		t.Fatal(err)
	}
	n := c.Node("node-2")
	if c.Node("node-4") != nil || n != c.Nodes[1] || !strings.Contains(c.URL(), n.URL) {
		t.Errorf("nodes are not found by their names: %v", n)
	}
	if err := os.MkdirAll(n.store, 0o700); err != nil {
		t.Fatal(err)
	}
	if n.Wipe() == nil || n.Start(t.Context()) == nil {
		t.Error("a node that runs was wiped, or started")
	}
	for _, node := range c.Nodes {
		if err := node.Process().Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Wipe(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(n.store); !os.IsNotExist(err) {
		t.Errorf("the store is still there: %v", err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.AwaitReady(soon(t)); err != nil {
		t.Error(err)
	}
	if said := n.Process().Said(); !strings.Contains(said, "run --config "+n.file+" --store-dir "+n.store) {
		t.Errorf("it was started as %s", said)
	}
	if err := n.Process().Kill(); err != nil {
		t.Error(err)
	}
}
