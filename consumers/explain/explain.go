// Package explain says in prose what the codes mean that fleetlog prints: why
// something was refused, not fetched or not recorded, what is broken, and the
// words for how a channel stands.
package explain

import (
	_ "embed" // for pages
	"fmt"
	"io"
	"strings"
)

//go:embed pages.txt
var pages string

// Page is what there is to know about one code.
type Page struct {
	Code       string `json:"code"`
	Means      string `json:"means"`
	Causes     string `json:"causes,omitzero"`
	ClearsWhen string `json:"clearsWhen,omitzero"`
}

// Pages are all of them, in the order in which they are meant to be read.
func Pages() []Page {
	var all []Page
	for _, text := range strings.Split(pages, "\n== ")[1:] {
		code, rest, _ := strings.Cut(text, "\n")
		page := Page{Code: code}
		for _, paragraph := range strings.Split(strings.TrimSpace(rest), "\n\n") {
			name, text, _ := strings.Cut(paragraph, ": ")
			text = strings.Join(strings.Fields(text), " ")
			switch name {
			case "means":
				page.Means = text
			case "causes":
				page.Causes = text
			case "clears":
				page.ClearsWhen = text
			}
		}
		all = append(all, page)
	}
	return all
}

// Find is the page of a code.
func Find(code string) (Page, bool) {
	for _, page := range Pages() {
		if page.Code == code {
			return page, true
		}
	}
	return Page{}, false
}

// ClearsWhen says what would have to happen for the code to be gone; empty for a
// code without a page.
func ClearsWhen(code string) string {
	page, _ := Find(code)
	return page.ClearsWhen
}

// Text writes the page for people.
func (p Page) Text(w io.Writer) error {
	text := p.Code + "\n\n" + wrap(p.Means)
	if p.Causes != "" {
		text += "\nCauses\n" + wrap(p.Causes)
	}
	if p.ClearsWhen != "" {
		text += "\nClears when\n" + wrap(p.ClearsWhen)
	}
	_, err := fmt.Fprint(w, text)
	return err
}

// width is how long a line is.
const width = 76

func wrap(text string) string {
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			b.WriteString("  " + line + "\n")
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	b.WriteString("  " + line + "\n")
	return b.String()
}
