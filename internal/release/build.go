package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// buildOnce compiles the programs of the source in root into dir, unless it has.
// environment is beside the process's own.
func (r *release) buildOnce(ctx context.Context, root, dir, arch string, environment ...string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	// No version control: what it says of the source differs from place to place.
	args := []string{
		"-C", root, "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags", "-s -w -X fleetlog/internal/process.version=" + r.version, "-o", dir + string(filepath.Separator),
	}
	for _, program := range r.programs {
		args = append(args, "./cmd/"+program)
	}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // compiling is the purpose
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	cmd.Env = append(cmd.Env, environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build for %s: %w\n%s", arch, err, out)
	}
	return nil
}

// check demands of every program that it needs nothing beside itself, is of the
// architecture, and, where it can run here, tells the version.
func (r *release) check(dir, arch string) error {
	for _, program := range r.programs {
		path := filepath.Join(dir, program)
		if err := checkStatic(path); err != nil {
			return fmt.Errorf("%s for %s: %w", program, arch, err)
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return err
		}
		for _, setting := range info.Settings {
			if setting.Key == "GOARCH" && setting.Value != arch {
				return fmt.Errorf("%s is for %s, want %s", program, setting.Value, arch)
			}
		}
		if arch != runtime.GOARCH {
			continue
		}
		out, err := exec.Command(path, "--version").Output() //nolint:gosec,noctx // it ends at once
		if err != nil {
			return fmt.Errorf("%s --version: %w", program, err)
		}
		if want := program + " version " + r.version + "\n"; string(out) != want {
			return fmt.Errorf("%w: %s --version says %q, want %q", errStamp, program, out, want)
		}
	}
	return nil
}

// errStamp refuses a program that does not know what it is.
var errStamp = errors.New("it has another version")

// errDynamic refuses a program that needs what a machine may not have.
var errDynamic = errors.New("it is not static")

func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			return fmt.Errorf("%w: it has a part %s", errDynamic, part.Type)
		}
	}
	return nil
}

// completions has the programs write what shells load.
func (r *release) completions(ctx context.Context, dir string) (files []file, err error) {
	for _, program := range r.programs {
		for _, shell := range []string{"bash", "fish", "zsh"} {
			script, err := exec.CommandContext(ctx, filepath.Join(dir, program), "completion", shell).Output() //nolint:gosec // it was built here
			if err != nil {
				return nil, fmt.Errorf("completion of %s for %s: %w", program, shell, err)
			}
			files = append(files, file{"completions/" + shell + "/" + program, script, 0o644})
		}
	}
	return files, nil
}

// errUnequal: what is published could not be made again.
var errUnequal = errors.New("a second build has other bytes")

// copySource copies what is under version control, and returns its names.
func (r *release) copySource(ctx context.Context, to string) (names []string, err error) {
	listed, err := git(ctx, r.root, "ls-files", "-z")
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimRight(listed, "\x00"), "\x00") {
		err := copyFile(filepath.Join(r.root, name), filepath.Join(to, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and not committed yet
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// compare builds everything again elsewhere.
func (r *release) compare(ctx context.Context, work string) error {
	copied := filepath.Join(work, "elsewhere", "another name")
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(work, "source"))); err != nil {
		return err
	}
	var environment []string
	if r.fresh {
		environment = []string{"GOCACHE=" + filepath.Join(work, "cache")}
	}
	for _, arch := range r.architectures {
		again := filepath.Join(work, "again", arch)
		if err := r.buildOnce(ctx, copied, again, arch, environment...); err != nil {
			return err
		}
		for _, program := range r.programs {
			first, err := os.ReadFile(filepath.Join(work, arch, program))
			if err != nil {
				return err
			}
			second, err := os.ReadFile(filepath.Join(again, program))
			if err != nil {
				return err
			}
			if !bytes.Equal(first, second) {
				return fmt.Errorf("%s for %s: %w", program, arch, errUnequal)
			}
			fmt.Printf("%s for %s: the same %d bytes twice\n", program, arch, len(first))
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, data, 0o600)) //nolint:gosec // below a directory of our own
}
