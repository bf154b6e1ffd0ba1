package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"fleetlog/internal/corpus"
	"fleetlog/internal/durable"
	"fleetlog/internal/fleetsim"
)

// controlPlane is the simulated control plane as a process of its own. What it
// serves and who it lets in is in DIR, which it makes when it is not there.
func controlPlane(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	port := flags.Int("port", 8443, "port on 127.0.0.1")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), `usage: demo control-plane [--port N] DIR

Serves a real signed release over mutual TLS on 127.0.0.1 until it is told to stop.
When DIR is not there it makes it, with test certificates that are good for ninety days:
  ca.pem, client.pem, client.key   what a poller connects with
  trust.json                       the keys that sign the release
  served                           the release directory that is served: a symlink
The release was signed long ago: give poller and reducer a window of ten years,
--manifest-freshness-window-secs `+windowSecs+`.
`)
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	dir := flags.Arg(0)
	if flags.NArg() != 1 {
		return errors.New("control-plane needs one directory; control-plane --help says more")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := prepare(dir); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return serve(ctx, dir, *port)
}

// prepare makes all that a control plane serves, and what its clients need. The
// directory has its name once all of it is there.
func prepare(dir string) error {
	made := filepath.Clean(dir) + ".new"
	if err := errors.Join(os.RemoveAll(made), os.MkdirAll(made, 0o700), unpack(firstRelease, made)); err != nil {
		return err
	}
	if _, err := issue(made); err != nil {
		return err
	}
	if err := durable.ReplaceSymlink(firstRelease, filepath.Join(made, "served")); err != nil {
		return err
	}
	return durable.Rename(made, dir)
}

// issue makes an authority, and certificates of a control plane and of a client.
func issue(dir string) (fleetsim.ClientFiles, error) {
	now := time.Now()
	pki, err := fleetsim.NewPKI(now)
	if err != nil {
		return fleetsim.ClientFiles{}, err
	}
	files, err := pki.WriteClient(dir, now.Add(fleetsim.Life))
	return files, errors.Join(err, pki.WriteServer(dir))
}

// unpack writes a release of the corpus into dir, and the trust file that covers
// it.
func unpack(name, dir string) error {
	files, err := corpus.FS()
	if err != nil {
		return err
	}
	release, err := fs.Sub(files, "releases/"+name+"/releases")
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, name), release); err != nil {
		return err
	}
	trust, err := fs.ReadFile(files, "releases/"+name+"/trust.json")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "trust.json"), trust, 0o600)
}

// serve serves DIR/served until ctx ends.
func serve(ctx context.Context, dir string, port int) error {
	plane, err := fleetsim.StartFromFiles(ctx, dir, port)
	if err != nil {
		return err
	}
	plane.SetRelease(os.DirFS(filepath.Join(dir, "served")))
	fmt.Printf("serving %s at %s\n", filepath.Join(dir, "served"), plane.URL())
	<-ctx.Done()
	return plane.Close()
}
