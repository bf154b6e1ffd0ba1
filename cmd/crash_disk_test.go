package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// diskFaults are what the system says of a disk, with its words.
var diskFaults = map[string]string{"ENOSPC": "no space left on device", "EIO": "input/output error"}

// brokenOperations are points of a save at which the disk fails from then on: in
// the generation, at `current`, at the checkpoint, and when old files are removed.
var brokenOperations = []struct {
	what    string
	name    string
	passage int
	behind  bool // the files of the set, which are as many passages
}{
	{"what was left of a generation", "remove", 1, false}, {"directory of a generation", "mkdir", 1, false},
	{"file of a set", "create", 1, false}, {"file of a set", "write", 1, false}, {"file of a set", "sync", 1, false},
	{"file of a set", "link", 1, false}, {"directory of a generation", "sync-directory", 2, false},
	{"generation", "rename", 1, false}, {"generation", "sync-directory", 3, false},
	{"current", "symlink", 1, false}, {"current", "rename", 2, false}, {"current", "sync-directory", 4, false},
	{"checkpoint", "create", 1, true}, {"checkpoint", "write", 1, true}, {"checkpoint", "sync", 1, true},
	{"checkpoint", "rename", 3, false}, {"checkpoint", "sync-directory", 5, false},
	{"older generation", "remove", 2, false}, {"older generation", "sync-directory", 6, false},
}

// files is how many files the set has that was published last.
func (c *crash) files() int { return 2 * (2 + c.published%3) }

// TestBrokenDisk lets the disk under a reducer and a poller fail at every one of
// their operations. The reducer says what is wrong, serves and keeps the set that
// it has saved, is not ready, and goes on by itself when the disk is mended; the
// checker then finds nothing.
func TestBrokenDisk(t *testing.T) {
	t.Parallel()
	programs := failingPrograms(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := newCrash(ctx, t, programs, false)
	c.reducer.stop()
	d := &diskCrash{crash: c}
	d.serveReducer(ctx)
	for fault, words := range diskFaults {
		for _, o := range brokenOperations {
			t.Run(fmt.Sprintf("%s, %s, %s", o.what, o.name, fault), func(t *testing.T) {
				d.in(t).breakSave(ctx, words, d.publishing(o.name), func() string {
					passage := o.passage
					if o.behind {
						passage += d.files()
					}
					return fmt.Sprintf("%s %s %d\n", o.name, fault, passage)
				})
			})
		}
	}
	t.Run("what was not synced is written anew", func(t *testing.T) { d.in(t).syncAgain(ctx) })
	t.Run("the trust file changes on a full disk", func(t *testing.T) { d.in(t).changeTrust(ctx) })
	t.Run("start on a full disk", func(t *testing.T) { d.in(t).startFull(ctx) })
	t.Run("first start", func(t *testing.T) { d.in(t).firstStarts(ctx) })
	t.Run("writer key", func(t *testing.T) { d.in(t).makeKey(ctx) })
	d.in(t)
	c.finish(ctx)
}

// diskCrash is a reducer that is asked over HTTP.
type diskCrash struct {
	*crash
	address string
}

// in makes what fails fail this test.
func (d *diskCrash) in(t *testing.T) *diskCrash {
	d.t, d.poller.t, d.reducer.t, d.broker.t = t, t, t, t
	return d
}

func (d *diskCrash) serveReducer(ctx context.Context) {
	d.reducer = d.launchReducer("--http-listen", "127.0.0.1:0")
	d.address = d.reducer.await(ctx, `msg="serving HTTP" address="([^"]+)"`)[1]
	d.awaitReady(ctx, "")
}

// get asks the reducer.
func (d *diskCrash) get(ctx context.Context, path string) (status int, body string) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.reducer.Said())
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// awaitReady waits until the reducer is ready, or is not and says why.
func (d *diskCrash) awaitReady(ctx context.Context, why string) {
	d.t.Helper()
	wait(ctx, d.t, "readiness: "+why, func() bool {
		status, body := d.get(ctx, "/readyz")
		return status == http.StatusOK && why == "" || status == http.StatusServiceUnavailable && why != "" && strings.Contains(body, why)
	})
}

func (d *diskCrash) served(ctx context.Context) manifest.Digest {
	d.t.Helper()
	var set struct {
		SetDigest manifest.Digest `json:"setDigest"`
	}
	_, body := d.get(ctx, "/v1/set")
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		d.t.Fatal(err)
	}
	return set.SetDigest
}

// breakSave lets a save fail, and every one that comes, until more ticks have come
// with another set among them.
func (d *diskCrash) breakSave(ctx context.Context, words string, publish func() error, step func() string) {
	d.delivering(ctx, publish)
	before := d.served(ctx)
	d.reducer.arm(step())
	d.poller.resume()
	d.awaitReady(ctx, words)
	d.stays(ctx, before)
	tick := d.changingBy(ctx, publish)
	d.poller.arm("")
	d.poller.resume()
	wait(ctx, d.t, "more ticks", func() bool { return d.newest(ctx) > tick })
	d.stays(ctx, before)
	if _, body := d.get(ctx, "/readyz"); !strings.Contains(body, words) || !strings.Contains(body, "make room, or mend the disk") {
		d.t.Errorf("not ready because of %s, want %s and what to do", body, words)
	}
	d.mended(ctx)
}

// stays demands that the set before is served.
func (d *diskCrash) stays(ctx context.Context, before manifest.Digest) {
	d.t.Helper()
	d.look()
	if served := d.served(ctx); served != before {
		d.t.Errorf("serves %s, which is not saved; want %s", served, before)
	}
}

// mended gives the disk back and waits until nothing shows of it any more.
func (d *diskCrash) mended(ctx context.Context) {
	d.t.Helper()
	d.reducer.arm("")
	d.awaitReady(ctx, "")
	d.judge(ctx)
	if served, holds := d.served(ctx), d.looker.last; served != holds {
		d.t.Errorf("serves %s, current holds %s", served, holds)
	}
}

// syncAgain demands, for the files of a set and for a checkpoint, that a file
// whose sync has failed is not synced once more but made once more.
func (d *diskCrash) syncAgain(ctx context.Context) {
	for _, checkpoint := range []bool{false, true} {
		d.delivering(ctx, d.publish)
		passage := 1
		if checkpoint {
			passage += d.files()
		}
		d.reducer.arm(fmt.Sprintf("sync EIO %d\n", passage))
		d.poller.resume()
		d.awaitReady(ctx, diskFaults["EIO"])
		d.reducer.arm("create kill\nsync kill\n")
		d.reducer.awaitDeath(ctx)
		if said := d.reducer.Said(); !strings.HasSuffix(said, "failpoint: kill at create\n") {
			d.t.Errorf("the last thing done was another: %s", said)
		}
		d.serveReducer(ctx)
		d.mended(ctx)
	}
}

func (d *diskCrash) changeTrust(ctx context.Context) {
	trust := append(d.signer.Trust(), '\n')
	d.reducer.arm("* ENOSPC\n")
	if err := os.WriteFile(d.trustFile, trust, 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.awaitReady(ctx, diskFaults["ENOSPC"])
	d.mended(ctx)
	if got := d.checkpoint().TrustDigest; got != manifest.Sum(trust) {
		d.t.Errorf("checkpoint is of trust %s, want %s", got, manifest.Sum(trust))
	}
}

// startFull starts a reducer that has a state on a disk that takes nothing more.
func (d *diskCrash) startFull(ctx context.Context) {
	d.reducer.stop()
	d.look()
	before := d.looker.last
	if err := d.publish(); err != nil {
		d.t.Fatal(err)
	}
	tick := d.newest(ctx)
	wait(ctx, d.t, "more ticks", func() bool { return d.newest(ctx) > tick+1 })
	d.reducer.arm("* ENOSPC\n")
	d.reducer = d.launchReducer("--http-listen", "127.0.0.1:0")
	d.address = d.reducer.await(ctx, `msg="serving HTTP" address="([^"]+)"`)[1]
	d.awaitReady(ctx, diskFaults["ENOSPC"])
	d.stays(ctx, before)
	d.mended(ctx)
}

// firstStarts starts reducers that have nothing yet.
func (d *diskCrash) firstStarts(ctx context.Context) {
	kept, stateDir := d.reducer, d.stateDir
	kept.stop()
	defer func() {
		d.stateDir = stateDir
		d.serveReducer(ctx)
	}()
	for fault, words := range diskFaults {
		for _, operation := range []string{"mkdir", "sync-directory", "create", "write", "sync", "rename", "remove"} {
			d.stateDir = filepath.Join(d.dir, "first", fault, operation)
			kept.arm(operation + " " + fault + "\n")
			r := d.launchReducer()
			r.await(ctx, words)
			if operation == "mkdir" || operation == "sync-directory" { // there is no state directory
				<-r.Done()
				if r.Err() == nil || r.Err().Error() != "exit status 1" {
					d.t.Errorf("%s at %s: %v, want exit status 1", fault, operation, r.Err())
				}
				continue
			}
			r.arm("")
			r.await(ctx, "caught up with the log")
			r.stop()
			d.look()
		}
	}
}

// makeKey demands that a poller whose writer key cannot be stored says so, and
// leaves nothing behind.
func (d *diskCrash) makeKey(ctx context.Context) {
	key := filepath.Join(d.dir, "key", "writer.key")
	if err := os.Mkdir(filepath.Dir(key), 0o700); err != nil {
		d.t.Fatal(err)
	}
	start := func() *failing {
		return d.launch("poller", "once", "--fleet", "other", "--nats-url", d.url, "--provision", "--release-dir", filepath.Join(d.dir, "released"),
			"--trust-file", d.trustFile, "--writer-key-file", key)
	}
	plan := &failing{daemon: daemon{nil, d.t}, plan: d.poller.plan}
	d.poller.stop()
	for fault, words := range diskFaults {
		for _, operation := range []string{"create", "write", "sync", "link", "sync-directory"} {
			plan.arm(operation + " " + fault + "\n")
			p := start()
			<-p.Done()
			if said := p.Said(); p.Err() == nil || !strings.Contains(said, words) || !strings.Contains(said, filepath.Dir(key)) {
				d.t.Errorf("%s at %s: %v, %s", fault, operation, p.Err(), said)
			}
			if left, err := os.ReadDir(filepath.Dir(key)); err != nil || len(left) > 0 {
				d.t.Errorf("%s at %s: %v, %v are left", fault, operation, err, left)
			}
		}
	}
	plan.arm("")
	p := start()
	<-p.Done()
	if diff := cmp.Diff(nil, p.Err()); diff != "" {
		d.t.Errorf("after all of them: %v: %s", p.Err(), p.Said())
	}
	if _, err := os.Stat(key); errors.Is(err, os.ErrNotExist) {
		d.t.Error("there is no key at the end")
	}
	d.startPoller(ctx)
}
