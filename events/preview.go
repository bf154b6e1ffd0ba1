package events

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

// Preview makes the bodies that the first tick of an empty log would have: with
// the nil lineage, no parts and no signature.
func Preview(fleet FleetName, draft Draft) ([][]byte, error) {
	const nilLineage = "00000000-0000-0000-0000-000000000000"
	head := Head{Lineage: nilLineage, Seq: 1, Opened: &LogOpened{}}
	c := composition{base: Base{Fleet: fleet, Head: head}, draft: draft, terms: Terms{Describe: Describe}}
	if err := c.judge(); err != nil {
		return nil, fmt.Errorf("preview tick: %w", err)
	}
	var bodies [][]byte
	for i, f := range c.findings {
		c.fillFinding(f, i)
		body, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("preview tick: %w", err)
		}
		bodies = append(bodies, body)
	}
	completed := c.completed()
	if err := c.place(completed, bodies, head.Seq+1); err != nil {
		return nil, fmt.Errorf("preview tick: %w", err)
	}
	body, err := json.Marshal(completed)
	if err != nil {
		return nil, fmt.Errorf("preview tick: %w", err)
	}
	return append(bodies, body), nil
}
