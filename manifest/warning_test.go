package manifest

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const budget = `"disruptionBudgets":[{"selector":{"all":true,%s},"maxInFlight":1}]`
	add := func(members string) string {
		return strings.Replace(twoChannels, `"schemaVersion":1,`, `"schemaVersion":1,`+members+",", 1)
	}
	for what, c := range map[string]struct {
		body string
		want []string
	}{
		"nothing": {twoChannels, nil},
		"and, not": {add(strings.Replace(budget, "%s", `"not":{"hosts":["a"]},"and":[]`, 1)), []string{
			`disruptionBudgets[0].selector uses "and": producers resolve it to other hosts than it says`,
			`disruptionBudgets[0].selector uses "not": producers resolve it to other hosts than it says`,
		}},
		"numbers": {add(`"x":{"\u001b":[9007199254740992,9007199254740994,1.5,-1]}`), []string{
			`x.\x1b[1] is 9007199254740994: only integers up to 2^53 are the same to every reader`,
			`x.\x1b[2] is 1.5: only integers up to 2^53 are the same to every reader`,
		}},
		"envelope": {strings.Replace(twoChannels, `"meta":{"schemaVersion":1,`, `"meta":{"schemaVersion":2,"signatureAlgorithm":"ecdsa-p256",`, 1), []string{
			`meta.schemaVersion is 2, not 1`,
			`meta.signatureAlgorithm is "ecdsa-p256", the key that verifies is ed25519`,
		}},
	} {
		t.Run(what, func(t *testing.T) {
			if got := verifiedFleet(t, alice, c.body).Warnings(); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	many := verifiedFleet(t, alice, add(`"x":[`+strings.Repeat("0.5,", 1000)+`1]`)).Warnings()
	if len(many) != maxWarnings {
		t.Errorf("%d warnings of one artifact, want %d", len(many), maxWarnings)
	}
}
