package manifest_test

import (
	"fmt"
	"testing"

	"fleetlog/manifest"
)

// BenchmarkProject sets the projection of all channels beside the hash and the
// signature of the fleet.
func BenchmarkProject(b *testing.B) {
	for _, hosts := range []int{1_000, 10_000} {
		f := fleetOf(b, hosts)
		fleet := f.verify(b, f.canonical)
		for _, scheme := range []manifest.Scheme{manifest.Composite, manifest.ContentHash} {
			b.Run(fmt.Sprintf("scheme=%s/hosts=%d", scheme, hosts), func(b *testing.B) {
				first := func() { manifest.ProjectAnew(fleet, scheme) }
				compare(b, first, func() { f.floor(b) })
				b.ReportMetric(testing.AllocsPerRun(1, first), "allocs")
			})
		}
		projections := manifest.Project(fleet, manifest.Composite)
		b.Run(fmt.Sprintf("hostsets/hosts=%d", hosts), func(b *testing.B) {
			compare(b, func() {
				for _, p := range projections {
					manifest.HostSetDigest(p.HostSet)
				}
			}, func() { f.floor(b) })
		})
	}
}
