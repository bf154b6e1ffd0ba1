package manifest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"fleetlog/internal/corpus"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// benchRounds is how often everything is measured in turns; the figures are
// medians.
const benchRounds = 21

// signedFleet is a fleet with what it verifies under.
type signedFleet struct {
	canonical []byte
	signature []byte
	public    ed25519.PublicKey
	policy    manifest.Policy
}

// fleetOf is a fleet of the corpus's largest release, each of its 500 hosts
// repeated under other names, in the waves too.
func fleetOf(b *testing.B, hosts int) signedFleet {
	b.Helper()
	files, err := corpus.FS()
	if err != nil {
		b.Fatal(err)
	}
	data, err := fs.ReadFile(files, "releases/large-composite/releases/fleet.resolved.json")
	if err != nil {
		b.Fatal(err)
	}
	var fleet map[string]any
	if err := json.Unmarshal(data, &fleet); err != nil {
		b.Fatal(err)
	}
	copies := hosts / len(fleet["hosts"].(map[string]any))
	all := make(map[string]any)
	for name, host := range fleet["hosts"].(map[string]any) {
		for n := range copies {
			all[fmt.Sprintf("%s-%02d", name, n)] = host
		}
	}
	fleet["hosts"] = all
	for _, waves := range fleet["waves"].(map[string]any) {
		for _, wave := range waves.([]any) {
			var names []any
			for _, name := range wave.(map[string]any)["hosts"].([]any) {
				for n := range copies {
					names = append(names, fmt.Sprintf("%s-%02d", name, n))
				}
			}
			wave.(map[string]any)["hosts"] = names
		}
	}
	return signFleet(b, fleet)
}

func signFleet(b *testing.B, fleet map[string]any) signedFleet {
	b.Helper()
	body, err := json.Marshal(fleet)
	if err != nil {
		b.Fatal(err)
	}
	canonical, err := manifest.Canonicalize(body)
	if err != nil {
		b.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	trust, err := manifest.ParseTrust(fmt.Appendf(nil, `{"schemaVersion":1,"ciReleaseKey":{"current":{"algorithm":"ed25519","public":%q}}}`,
		base64.StdEncoding.EncodeToString(public)))
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	return signedFleet{canonical, ed25519.Sign(private, canonical), public, manifest.Policy{Trust: trust, Now: now, Window: manifest.Unlimited}}
}

// floor is what cannot be saved: the hash and the signature, of the signed bytes.
func (f signedFleet) floor(b *testing.B) {
	if sha256.Sum256(f.canonical) == [32]byte{} || !ed25519.Verify(f.public, f.canonical, f.signature) {
		b.Fatal("the signature does not hold")
	}
}

func (f signedFleet) verify(b *testing.B, body []byte) manifest.Verified[manifest.Fleet] {
	v, err := manifest.VerifyFleet(manifest.Received{Body: body, Signature: f.signature}, f.policy)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// cost is the time that a call takes, by the clock and of the processor.
type cost struct{ wall, cpu time.Duration }

// costOf calls often enough for the clocks to tell, after a collection of what
// others left. By the clock it is the fastest call, which is the one that nothing
// else on the machine came between; of the processor it is the mean, in which the
// collection of garbage has its share.
func costOf(call func()) cost {
	runtime.GC()
	begin, used := time.Now(), cpuTime()
	fastest, calls := time.Duration(math.MaxInt64), 0
	for calls < 5 || time.Since(begin) < 20*time.Millisecond {
		called := time.Now()
		call()
		fastest = min(fastest, time.Since(called))
		calls++
	}
	return cost{fastest, (cpuTime() - used) / time.Duration(calls)}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// compare measures both in turns and reports how much more the call costs, on
// one thread.
func compare(b *testing.B, call, floor func()) {
	b.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var wall, cpu []float64
	for b.Loop() {
		for range benchRounds {
			least, got := costOf(floor), costOf(call)
			wall = append(wall, float64(got.wall)/float64(least.wall))
			cpu = append(cpu, float64(got.cpu)/float64(least.cpu))
		}
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	b.ReportMetric(wall[len(wall)/2], "x-floor")
	b.ReportMetric(wall[0], "x-floor-least")
	b.ReportMetric(wall[len(wall)-1], "x-floor-most")
	b.ReportMetric(cpu[len(cpu)/2], "x-floor-cpu")
}

// reportMemory reports two bounds in sizes of the body, which is counted too:
// the peak is less than what was allocated in all, and not less than what stays.
func reportMemory(b *testing.B, body []byte, call func() manifest.Verified[manifest.Fleet]) {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after, kept runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := call()
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.ReadMemStats(&kept)
	runtime.KeepAlive(v)
	size := float64(len(body))
	b.ReportMetric(1+float64(after.TotalAlloc-before.TotalAlloc)/size, "x-body-allocated")
	b.ReportMetric(1+(float64(kept.HeapAlloc)-float64(before.HeapAlloc))/size, "x-body-kept")
}

func pretty(b *testing.B, canonical []byte) []byte {
	b.Helper()
	body := jsontext.Value(bytes.Clone(canonical))
	if err := body.Indent(); err != nil {
		b.Fatal(err)
	}
	return body
}

// unsorted is pretty, and has a member at its end that belongs further up.
func unsorted(b *testing.B, canonical []byte) []byte {
	b.Helper()
	rest, ok := bytes.CutPrefix(canonical, []byte(`{"channelEdges":[`))
	end := bytes.Index(rest, []byte(`],"channels":`))
	if !ok || end < 0 {
		b.Fatal("the fleet does not begin with its channel edges")
	}
	body := slices.Concat([]byte("{"), rest[end+2:len(rest)-1], []byte(`,"channelEdges":[`), rest[:end], []byte("]}"))
	return pretty(b, body)
}

// BenchmarkVerifyFleet sets verification beside the hash and the signature of
// the same bytes, which no verifier can do without.
func BenchmarkVerifyFleet(b *testing.B) {
	for _, hosts := range []int{1_000, 10_000} {
		f := fleetOf(b, hosts)
		for _, form := range []struct {
			name string
			body []byte
		}{{"canonical", f.canonical}, {"pretty", pretty(b, f.canonical)}, {"unsorted", unsorted(b, f.canonical)}} {
			b.Run(fmt.Sprintf("form=%s/hosts=%d", form.name, hosts), func(b *testing.B) {
				compare(b, func() { f.verify(b, form.body) }, func() { f.floor(b) })
				reportMemory(b, form.body, func() manifest.Verified[manifest.Fleet] { return f.verify(b, form.body) })
			})
		}
	}
}

// BenchmarkVerifyUnchanged is a tick on a fleet that came before: received anew,
// verified and projected.
func BenchmarkVerifyUnchanged(b *testing.B) {
	for _, hosts := range []int{1_000, 10_000} {
		f := fleetOf(b, hosts)
		before := f.verify(b, f.canonical)
		again := manifest.Received{Body: bytes.Clone(f.canonical), Signature: f.signature}
		call := func() manifest.Verified[manifest.Fleet] {
			v, err := manifest.VerifyFleetAfter(before, again, f.policy)
			if err != nil {
				b.Fatal(err)
			}
			manifest.Project(v, manifest.Composite)
			return v
		}
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			compare(b, func() { call() }, func() { f.floor(b) })
			reportMemory(b, again.Body, call)
		})
	}
}

// BenchmarkVerifyWarnings is the look at the content that every new set gets.
func BenchmarkVerifyWarnings(b *testing.B) {
	for _, hosts := range []int{1_000, 10_000} {
		f := fleetOf(b, hosts)
		fleet := f.verify(b, f.canonical)
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			compare(b, func() { fleet.Warnings() }, func() { f.floor(b) })
		})
	}
}
