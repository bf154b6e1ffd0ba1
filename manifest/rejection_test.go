package manifest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestRejectionText(t *testing.T) {
	for kind, want := range map[Kind]string{
		KindNoTrustRoots: "no trust roots: why", KindParse: "parse: why", KindRejectedBeforeTimestamp: "rejected before timestamp: why",
	} {
		if got := reject(kind, "why").Error(); got != want {
			t.Errorf("%s reads %q, want %q", kind, got, want)
		}
	}
	if got := (&Rejection{Kind: KindNotSigned}).Error(); got != "not signed" {
		t.Errorf("without detail: %q", got)
	}
	if err := error(reject(KindParse, "why").because(fs.ErrNotExist)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ~":                      "plain ~",
		"two\nlines\x7f":               `two\nlines\x7f`,
		"wörld \U0001F600":             `w\u00f6rld \U0001f600`,
		"bad \xff":                     `bad \ufffd`,
		strings.Repeat("a", 256):       strings.Repeat("a", 256),
		strings.Repeat("a", 257):       strings.Repeat("a", 253) + "...",
		strings.Repeat("ö", 1_000_000): strings.Repeat(`\u00f6`, 43)[:253] + "...",
		"it's":                         "it's",
		"\u2028":                       `\u2028`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%.40q becomes %q, want %q", in, got, want)
		}
	}
}

func TestDetailOfHostileNames(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for name, body := range map[string]string{
		"hostname":    `{"schemaVersion":1,"hosts":{"` + long + `":5},"channels":{},"waves":{},"meta":{"schemaVersion":1}}`,
		"channel":     `{"schemaVersion":1,"hosts":{},"channels":{"` + long + `":{}},"waves":{},"meta":{"schemaVersion":1}}`,
		"wave":        `{"schemaVersion":1,"hosts":{},"channels":{},"waves":{"\n":[{"hosts":[1],"soakMinutes":0}]},"meta":{"schemaVersion":1}}`,
		"not JSON":    `{"` + long,
		"early end":   ``,
		"two values":  `1 2`,
		"bad version": `{"schemaVersion":"` + long + `"}`,
	} {
		r := alice.signAnything(body)
		_, err := VerifyFleet(r, Policy{trusting(t, alice.slot("current")), signedAt, 3600, nil})
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Kind != KindParse {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkDetail(t, name, rejection.Detail)
		if strings.HasPrefix(rejection.Detail, `hosts.\u00e9`) && !strings.HasSuffix(rejection.Detail, "is not an object") {
			t.Errorf("%s: the fault is cut off: %q", name, rejection.Detail)
		}
	}

	_, err := ParseTrust([]byte(`{"schemaVersion":1,"ciReleaseKey":{"current":{"algorithm":"` + long + `"}}}`))
	wantKind(t, err, KindTrustInvalid)
	unknown := trusting(t, `"current":{"algorithm":"`+long+`\u0000","public":""}`)
	_, err = VerifyFleet(alice.sign(t, twoChannels), Policy{unknown, signedAt, 3600, nil})
	wantKind(t, err, KindUnsupportedAlgorithm)
}
