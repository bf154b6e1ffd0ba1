package manifest

import (
	"strings"
	"testing"
	"time"
)

func TestVerifyLists(t *testing.T) {
	const (
		meta       = `"schemaVersion":1,"meta":{"schemaVersion":1,"signedAt":"2026-01-01T00:00:00Z"},`
		revocation = `{"hostname":"a","notBefore":"2026-01-01T00:00:00Z","unknown":1}`
		nonce      = `{"nonce":"n","hostname":"a","expiresAt":"2026-01-01T00:00:00Z","mintedAt":null}`
	)
	later := `"rejectBefore":"2026-01-01T00:00:01Z"`
	for what, c := range map[string]struct {
		verify func(Received, Policy) error
		body   string
		age    time.Duration
		trust  string // a further member of the release slot
		want   Kind
	}{
		"revocations":           {verify: VerifyRevocations, body: meta + `"revocations":[` + revocation + `]`},
		"nobody revoked":        {verify: VerifyRevocations, body: meta + `"revocations":[]`},
		"no list":               {verify: VerifyRevocations, body: meta + `"a":1`, want: KindParse},
		"null":                  {verify: VerifyRevocations, body: meta + `"revocations":null`, want: KindParse},
		"nonces in their place": {verify: VerifyRevocations, body: meta + `"revocations":[` + nonce + `]`, want: KindParse},
		"nonces":                {verify: VerifyBootstrapNonces, body: meta + `"bootstrapNonces":[` + nonce + `]`},
		"one in their place":    {verify: VerifyBootstrapNonces, body: meta + `"bootstrapNonces":[` + revocation + `]`, want: KindParse},
		"of another version": {verify: VerifyRevocations, body: strings.Replace(meta, "1", "2", 1) + `"revocations":[]`,
			want: KindSchemaVersionUnsupported},
		"without a time":  {verify: VerifyRevocations, body: `"schemaVersion":1,"meta":{"schemaVersion":1},"revocations":[]`, want: KindNotSigned},
		"taken back":      {verify: VerifyRevocations, body: meta + `"revocations":[]`, trust: later, want: KindRejectedBeforeTimestamp},
		"at the window":   {verify: VerifyRevocations, body: meta + `"revocations":[]`, age: 3660 * time.Second},
		"past the window": {verify: VerifyRevocations, body: meta + `"revocations":[]`, age: 3661 * time.Second, want: KindStale},
		"ahead of time":   {verify: VerifyRevocations, body: meta + `"revocations":[]`, age: -61 * time.Second, want: KindFutureDated},
	} {
		t.Run(what, func(t *testing.T) {
			members := []string{alice.slot("current")}
			if c.trust != "" {
				members = append(members, c.trust)
			}
			policy := Policy{Trust: trusting(t, members...), Now: signedAt.Add(c.age), Window: 3600}
			received := alice.sign(t, "{"+c.body+"}")
			wantKind(t, c.verify(received, policy), c.want)
			received.Signature[0] ^= 1
			wantKind(t, c.verify(received, policy), KindBadSignature)
		})
	}
}
