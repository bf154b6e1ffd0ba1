package browser

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

const (
	wide, high    = 1120, 720
	phone, tall   = 360, 740
	leastContrast = 4.5
)

// contrastText finds visible text that is hard to read.
//
//go:embed contrast.js
var contrastText string

// TestPage looks at the page in five states, one after the other of the same log.
func TestPage(t *testing.T) {
	s, browser := newScene(t), start(t)
	s.morning()
	calm := map[string]string{"(fleet)": "Fresh", "stable": "Fresh", "edge": "Fresh", "canary": "Fresh", "kiosk": "Empty"}
	t.Run("fresh", func(t *testing.T) { look(t, browser, s, shown{"Healthy", calm, "Ready", "Ready"}) })
	t.Run("without scripts", func(t *testing.T) { withoutScripts(t, browser, s) })
	t.Run("by keyboard", func(t *testing.T) { byKeyboard(t, browser, s) })
	t.Run("live", func(t *testing.T) { live(t, browser, s) })

	for range 15 { // of three hours' window, with nothing signed
		s.tick()
	}
	all := func(state string) map[string]string {
		return map[string]string{"(fleet)": state, "stable": state, "edge": state, "canary": state, "kiosk": "Empty"}
	}
	t.Run("expiring", func(t *testing.T) { look(t, browser, s, shown{"Degraded", all("Expiring"), "Ready", "Ready"}) })

	s.sign("c4e07b19d8f3")
	restore := s.without("rollouts/edge@")
	s.tick()
	missing := maps.Clone(calm)
	missing["edge"] = "Missing"
	t.Run("channel missing", func(t *testing.T) { look(t, browser, s, shown{"Degraded", missing, "Degraded", "Ready"}) })

	restore()
	s.tick()
	s.without("fleet.resolved")
	for range 3 {
		s.tick()
	}
	refused := maps.Clone(calm)
	refused["(fleet)"] = "Rejected"
	t.Run("control plane down", func(t *testing.T) { look(t, browser, s, shown{"Degraded", refused, "Degraded", "Ready"}) })

	s.sign("5be2906fa17c")
	s.resign("rollouts/canary@5be2906fa17c.json")
	s.tick()
	diverged := maps.Clone(calm)
	diverged["canary"] = "Rejected"
	t.Run("divergence", func(t *testing.T) { look(t, browser, s, shown{"Degraded", diverged, "Ready", "Degraded"}) })
}

// morning is a log of three hours, with a new release in each.
func (s *scene) morning() {
	s.t.Helper()
	s.sign("3f9c21d07a6e")
	for _, commit := range []string{"b81e4d5502fa", "07d6ac9931be", "8f3a91c04d1e"} {
		for range time.Hour / interval {
			s.tick()
		}
		s.sign(commit)
	}
	s.tick()
}

// withoutScripts: the page is whole, and comes anew by itself.
func withoutScripts(t *testing.T, browser context.Context, s *scene) {
	b := open(t, browser)
	b.scripts(false)
	b.do(chromedp.Navigate(s.url + "/"))
	if verdict := ask[string](b, `document.querySelector("#verdict").textContent`); !strings.HasPrefix(verdict, "Healthy") {
		t.Errorf("verdict: %s", verdict)
	}
	if times := ask[[]string](b, `[...document.querySelectorAll("#channels time")].map((e) => e.textContent)`); len(times) != 8 || slices.Contains(times, "") {
		t.Errorf("times: %q", times)
	}
	if live := ask[string](b, `document.querySelector("#live").textContent`); live != "" {
		t.Errorf("scripts run: the page says it is %s", live)
	}
	if every := ask[string](b, `document.querySelector("noscript meta[http-equiv=refresh]").content`); every != "30" {
		t.Errorf("it comes anew every %q s", every)
	}
}

// byKeyboard: the first stop skips to the channels, and the others are the links
// in the order in which they stand.
func byKeyboard(t *testing.T, browser context.Context, s *scene) {
	b := open(t, browser)
	b.do(chromedp.EmulateViewport(wide, high), chromedp.Navigate(s.url+"/"))
	const focused = `(document.activeElement.getAttribute("href") ?? document.activeElement.id)`
	links := ask[[]string](b, `[...document.querySelectorAll("a")].map((a) => a.getAttribute("href"))`)
	if len(links) < 15 {
		t.Fatalf("the page has %d links only", len(links))
	}
	for i, want := range links {
		b.do(chromedp.KeyEvent(kb.Tab))
		if got := ask[string](b, focused); got != want {
			t.Fatalf("stop %d is %q, want %q", i, got, want)
		}
		seen := ask[bool](b, `(() => { const r = document.activeElement.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2 })()`)
		if !seen && i > 0 { // the first slides in
			t.Errorf("stop %d, %q, is not seen", i, want)
		}
	}
	b.do(chromedp.Navigate(s.url+"/"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	if got := ask[string](b, focused); got != "channels" {
		t.Errorf("skipping goes to %q", got)
	}
}

// live: what the log says next is on the page, which is not loaded again. What is
// focused stays.
func live(t *testing.T, browser context.Context, s *scene) {
	b := open(t, browser)
	b.before(`const real = setTimeout; window.setTimeout = (f, delay) => delay > 2000 ? 0 : real(f, delay)`) // it has to hear of the tick
	b.do(chromedp.EmulateViewport(wide, high), chromedp.Navigate(s.url+"/"))
	ask[bool](b, `(window.kept = true, document.querySelector("#channels a[href='/v1/fleet.resolved']").focus(), true)`)
	const changes = `document.querySelectorAll("#changes tbody tr").length`
	shown := ask[int](b, changes)
	s.sign("e61d3fb84a90")
	s.tick()
	b.waitFor(`document.querySelector("#channels").textContent.includes("e61d3fb84a90")`)
	if !ask[bool](b, `window.kept === true`) {
		t.Error("the page was loaded again")
	}
	if now := ask[int](b, changes); now != shown+1 {
		t.Errorf("%d changes are shown, and %d before one more", now, shown)
	}
	if got := ask[string](b, `document.activeElement.getAttribute("href")`); got != "/v1/fleet.resolved" {
		t.Errorf("the focus is at %q now", got)
	}
	before := ask[string](b, `document.querySelector("#processes time").textContent`)
	b.waitFor(fmt.Sprintf(`document.querySelector("#processes time").textContent !== %q`, before))
}

// shown is what a state must show.
type shown struct {
	health          string
	channels        map[string]string
	poller, reducer string
}

func look(t *testing.T, browser context.Context, s *scene, want shown) {
	t.Helper()
	state := strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", "-")
	b := open(t, browser)
	b.do(chromedp.Navigate(s.url + "/"))
	for _, scheme := range []string{"light", "dark"} {
		b.dressed(scheme)
		b.do(chromedp.EmulateViewport(wide, high))
		b.says(want)
		b.readable(scheme)
		b.shoot(state + "-" + scheme)
		b.do(chromedp.EmulateViewport(phone, tall, chromedp.EmulateMobile))
		if over := ask[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
			t.Errorf("%s: the page is %d pixels wider than a phone", scheme, over)
		}
		b.readable(scheme + ", phone")
		if *screenshots != "" {
			b.shoot(state + "-" + scheme + "-phone")
		}
	}
}

// says holds the words on the page against those that are wanted.
func (b *tab) says(want shown) {
	b.t.Helper()
	const visible = `(e) => e.checkVisibility({opacityProperty: true, visibilityProperty: true}) ? e.textContent.trim() : "not visible"`
	words := func(section string) string {
		return `Object.fromEntries([...document.querySelectorAll("#` + section + ` tbody tr")].map((r) => [r.querySelector("th").textContent, (` + visible + `)(r.querySelector(".word"))]))`
	}
	got := shown{
		health:   ask[string](b, `(`+visible+`)(document.querySelector("#verdict strong"))`),
		channels: ask[map[string]string](b, words("channels")),
	}
	processes := ask[map[string]string](b, words("processes"))
	got.poller, got.reducer = processes["poller"], processes["reducer"]
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(shown{})); diff != "" {
		b.t.Errorf("the page (-want +got):\n%s", diff)
	}
}

// readable demands enough contrast of all text that can be seen.
func (b *tab) readable(where string) {
	b.t.Helper()
	for _, text := range ask[[]string](b, fmt.Sprintf("(%s)(%f)", contrastText, leastContrast)) {
		b.t.Errorf("%s: hard to read: %s", where, text)
	}
}

// before runs a script before those of every page that is opened next.
func (b *tab) before(script string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// scripts turns the page's own scripts on or off.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}
