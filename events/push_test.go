package events

import (
	"fmt"
	"testing"
	"time"

	"fleetlog/manifest"
)

// mixed is a log in which nine ticks in ten are unchanged, and the tenth states a
// fleet and twelve channels, one of them anew.
func mixed(t testing.TB, ticks int) *book {
	t.Helper()
	b, fleet := newBook(t, nil), fetched(1, 0, 12)
	b.restate = 1000 * time.Hour
	findings := []Finding{fleet}
	for n := range 12 {
		findings = append(findings, verified(fmt.Sprintf("channel-%02d", n), byte(11+n), fleet))
	}
	for n := range ticks {
		if n%10 == 0 {
			findings[1+n/10%12].(*RolloutVerified).ManifestHash = manifest.Sum([]byte{byte(n), byte(n >> 8)})
		}
		b.add(b.draft(time.Duration(n+1)*time.Second, findings...))
	}
	return b
}

// BenchmarkPush reads that log as one who follows it to a fixed end does.
func BenchmarkPush(b *testing.B) {
	log := mixed(b, 400)
	head, writers, err := ReadOpening(prod(b), log.written[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	chain := NewChain(prod(b), writers, head)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; chain = chain.Behind(head) {
		for i := 1; i < len(log.written) && left > 0; i, left = i+1, left-1 {
			if i%256 == 1 {
				chain = chain.Deferring()
			}
			_, noise, err := chain.Push(uint64(i+1), log.written[i])
			if err != nil || len(noise) > 0 {
				b.Fatal(noise, err)
			}
			if i%256 == 0 && !chain.HeadHolds() {
				b.Fatal("signature does not hold")
			}
		}
	}
}
