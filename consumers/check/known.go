package check

import (
	"fmt"

	"fleetlog/events"
	"fleetlog/manifest"
)

// begin compares the known heads with what is before the first tick.
func (c *checking) begin() {
	opening, before := c.part.Opening, c.part.Before
	var later []KnownHead
	for _, h := range c.Heads {
		switch {
		case h.Lineage != opening.Lineage:
			c.report.add(Finding{
				Code: CodeHead, Seq: opening.Seq, Expected: h.Lineage, Found: opening.Lineage,
				Detail: fmt.Sprintf("%s is of lineage %s at tick %d, this is the log of lineage %s", h.From, h.Lineage, h.Number, opening.Lineage),
			})
		case h.Number == 0:
			c.compare(h, opening.Seq, opening.Digest)
		case h.Number == before.Number:
			c.compare(h, before.Seq, before.Digest)
		case h.Number < before.Number:
			c.report.Outside = append(c.report.Outside, h)
		default:
			later = append(later, h)
		}
	}
	c.Heads = later
}

// meet compares the known heads with a tick.
func (c *checking) meet(tick events.Head) {
	if len(c.Heads) == 0 {
		return
	}
	var later []KnownHead
	for _, h := range c.Heads {
		if h.Number == tick.Number {
			c.compare(h, tick.Seq, tick.Digest)
		} else {
			later = append(later, h)
		}
	}
	c.Heads = later
}

func (c *checking) compare(h KnownHead, seq uint64, found manifest.Digest) {
	c.report.Compared++
	if h.Digest == found {
		return
	}
	c.report.add(Finding{
		Code: CodeHead, Seq: seq, Tick: h.Number, Expected: h.Digest.String(), Found: found.String(),
		Detail: fmt.Sprintf("history was rewritten: %s has tick %d with SHA-256 %s, the log has %s", h.From, h.Number, h.Digest, found),
	})
}

// missing reports the known heads that were not met.
func (c *checking) missing(last events.Head) {
	for _, h := range c.Heads {
		detail := fmt.Sprintf("%s has tick %d, which the log does not hold", h.From, h.Number)
		if h.Number > last.Number {
			detail = fmt.Sprintf("history was cut off: %s has tick %d, the log ends at tick %d", h.From, h.Number, last.Number)
		}
		c.report.add(Finding{
			Code: CodeHead, Seq: c.report.Seq, Tick: h.Number, Detail: detail,
			Expected: fmt.Sprintf("tick %d", h.Number), Found: fmt.Sprintf("tick %d", last.Number),
		})
	}
}
