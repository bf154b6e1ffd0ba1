package events

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestTimeForm: a time is read as the standard library reads it, where that
// writes it alike.
func TestTimeForm(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const odd = `0123456789-:.,TZ+ 9999`
	for range 20_000 {
		text := []byte(time.UnixMilli(random.Int64N(1 << 48)).UTC().Format(timeLayout))
		if random.IntN(2) == 0 {
			text[random.IntN(len(text))] = odd[random.IntN(len(odd))]
		}
		parsed, err := time.Parse(timeLayout, string(text))
		want := err == nil && parsed.Format(timeLayout) == string(text)
		var got Time
		if is := got.UnmarshalText(text) == nil; is != want {
			t.Fatalf("%s is read: %t, want %t", text, is, want)
		}
		if want && (got != TimeOf(parsed) || got.String() != string(text)) {
			t.Fatalf("%s is read as %s", text, got)
		}
	}
}

// TestUUIDForm: an id is of the form when the library reads it, writes it alike
// and gives it the version.
func TestUUIDForm(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	const odd = `0123456789abcdefABCDEFg-{}:`
	valid := 0
	for range 20_000 {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		text := []byte(id.String())
		if random.IntN(2) == 0 {
			text[random.IntN(len(text))] = odd[random.IntN(len(odd))]
		}
		if random.IntN(10) == 0 {
			text = text[random.IntN(len(text)):]
		}
		parsed, err := uuid.Parse(string(text))
		want := err == nil && parsed.String() == string(text) && parsed.Version() == 7
		if is := checkUUID(string(text), 7) == nil; is != want {
			t.Fatalf("%s is of the form: %t, want %t", text, is, want)
		}
		if want {
			valid++
		}
	}
	if valid < 5000 || valid > 18_000 {
		t.Errorf("%d of 20000 are", valid)
	}
}
