package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/view"
)

// longest is how many characters of a text that others wrote the page has.
const longest = 160

// plain is a text that others wrote as the page shows it: what is long is cut.
func plain(s string) string {
	if runes := []rune(s[:min(len(s), 4*longest+4)]); len(runes) > longest {
		return view.Plain(string(runes[:longest])) + "…"
	}
	return view.Plain(s)
}

// nameText is the name of a channel as people see it. Even an empty one, or one
// that a reader would take for something else, is seen as what it is.
func nameText(name string) string {
	if name == "" || strings.TrimSpace(name) != name {
		return strconv.Quote(plain(name))
	}
	return plain(name)
}

// lasted is a duration for people, as exact as they want it. page.js has the same.
func lasted(d time.Duration) string {
	d = d.Abs().Truncate(time.Second)
	days, hours := int(d/(24*time.Hour)), int(d/time.Hour)%24
	minutes, seconds := int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes >= exactMinutes:
		return fmt.Sprintf("%d min", minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

// exactMinutes is below how many minutes seconds matter.
const exactMinutes = 5

// counted is a number of things of which there may be one.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(uint64(n)) + " " + noun + "s"
}

// digits are those of any number, for templates.
func digits(n any) string {
	switch n := n.(type) {
	case int:
		return number(uint64(n))
	case uint64:
		return number(n)
	}
	return fmt.Sprint(n)
}

// number has its digits in groups of three.
func number(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// sized is a number of bytes in the unit that fits.
func sized(n uint64) string {
	if n < 1<<10 {
		return counted(int(n), "byte")
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value /= 1 << 10; value < 1<<10 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
