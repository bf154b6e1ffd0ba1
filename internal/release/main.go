// Command release builds the programs for others to install: static, stamped with
// a version, packed in one archive for each architecture, with a list of what they
// are made of and the checksums of all. The same source, version and Go give the
// same bytes, wherever and whenever they are built.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	r := release{root: "."}
	arch := flag.String("arch", "amd64,arm64", "architectures, separated by commas; host is this machine's")
	programs := flag.String("programs", "poller,reducer,embedded-nats,fleetlog", "programs, separated by commas")
	flag.StringVar(&r.version, "version", "", "version to stamp; what git describe says without it")
	flag.StringVar(&r.out, "out", "dist", "directory to write to, which must not exist")
	flag.BoolVar(&r.twice, "twice", false, "build again from a copy elsewhere, and compare")
	flag.BoolVar(&r.fresh, "fresh", false, "with --twice: build again without what has been compiled before")
	flag.Parse()
	r.architectures = strings.Split(strings.ReplaceAll(*arch, "host", runtime.GOARCH), ",")
	r.programs = strings.Split(*programs, ",")
	if r.version == "" {
		described, err := git(ctx, r.root, "describe", "--tags", "--always", "--dirty")
		if err != nil {
			return fmt.Errorf("%w; or give --version", err)
		}
		r.version = described
	}
	moment, err := sourceMoment(ctx, r.root)
	if err != nil {
		return err
	}
	r.moment = moment
	return r.make(ctx)
}

// sourceMoment is when the source was last changed: SOURCE_DATE_EPOCH where that
// is set, else the time of the commit.
func sourceMoment(ctx context.Context, root string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, fmt.Errorf("%w; or set SOURCE_DATE_EPOCH", err)
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("moment of the source: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output() //nolint:gosec // running git is the purpose
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// release is one making of all that is published.
type release struct {
	root, out, version      string
	moment                  time.Time // of everything that is packed
	architectures, programs []string
	twice, fresh            bool
}

// make fills the output directory. What is there when it fails is not to be used.
// Only what is under version control is built and packed, as it is at the beginning.
func (r *release) make(ctx context.Context) (err error) {
	if err := os.Mkdir(r.out, 0o755); err != nil { //nolint:gosec // it is published
		return fmt.Errorf("make --out: %w", err)
	}
	work, err := os.MkdirTemp("", "fleetlog-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	source := filepath.Join(work, "source")
	names, err := r.copySource(ctx, source)
	if err != nil {
		return err
	}
	files, err := files(source, names)
	if err != nil {
		return err
	}
	for _, arch := range append([]string{runtime.GOARCH}, r.architectures...) { // this machine's make the completions
		if err := r.buildOnce(ctx, source, filepath.Join(work, arch), arch); err != nil {
			return err
		}
	}
	completions, err := r.completions(ctx, filepath.Join(work, runtime.GOARCH))
	if err != nil {
		return err
	}
	var bill bill
	for _, arch := range r.architectures {
		built := filepath.Join(work, arch)
		if err := errors.Join(r.check(built, arch), bill.add(built, r.programs)); err != nil {
			return err
		}
		if err := r.pack(arch, built, append(files, completions...)); err != nil {
			return err
		}
	}
	if r.twice {
		if err := r.compare(ctx, work); err != nil {
			return err
		}
	}
	if err := bill.write(filepath.Join(r.out, "fleetlog-"+r.version+".cdx.json"), r.version, r.moment); err != nil {
		return err
	}
	return r.sum()
}
