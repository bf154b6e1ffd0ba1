package events

import (
	"slices"
	"testing"
)

// TestReadHead judges a head away from its log.
func TestReadHead(t *testing.T) {
	b := threeTicks(t)
	for _, at := range []int{opening, end1, end2, end3} {
		m := b.written[at]
		signature := m.Header[SignatureHeader][0]
		h, err := ReadHead(m.Body, signature, nil)
		if err != nil || h.Seq != uint64(at)+1 || h.Digest != digestOf(m.Body) || h.Fleet() != prod(t) || h.Lineage == "" {
			t.Errorf("%d: %+v, %v", at, h, err)
		}
		if _, err := ReadHead(m.Body, signature, []PublicKey{otherWriter(t).Public()}); err == nil {
			t.Errorf("%d: a writer that is not accepted counts", at)
		}
		if _, err := ReadHead(m.Body, b.written[map[bool]int{true: end2, false: end1}[at == end1]].Header[SignatureHeader][0], nil); err == nil {
			t.Errorf("%d: any signature counts", at)
		}
		changed := slices.Clone(m.Body)
		changed[len(changed)-10] ^= 1
		if _, err := ReadHead(changed, signature, nil); err == nil {
			t.Errorf("%d: any body counts", at)
		}
	}
	if _, err := ReadHead(b.written[fleet1].Body, b.written[end1].Header[SignatureHeader][0], nil); err == nil {
		t.Error("a finding is a head")
	}
}
