// Package browser looks at the reducer's page with a real browser.
package browser

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "directory to write the screenshots to; none: they are only taken")

// chromium is the browser that is looked with.
const chromium = "chromium"

// start starts a browser that ends with the test.
func start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath(chromium)
	if err != nil {
		t.Fatalf("no browser to look with: %v; install it: apt-get install --no-install-recommends chromium", err)
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("headless", true)}
	for _, name := range []string{
		"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update",
		"disable-sync", "disable-dev-shm-usage", "hide-scrollbars", "mute-audio", "no-default-browser-check", "disable-extensions",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(end)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	must(t, chromedp.Do(browser))
	return browser
}

// tab is one page under test, of which every complaint is a failure.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func open(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	must(t, chromedp.Do(ctx))
	bounded, cancel := context.WithTimeout(ctx, patience)
	b := &tab{t: t, ctx: bounded}
	listening, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		messages := chromedp.Console(bounded)
		close(listening)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning {
				b.mu.Lock()
				b.complaints = append(b.complaints, m.String())
				b.mu.Unlock()
			}
		}
	}()
	<-listening
	t.Cleanup(func() {
		cancel()
		closeTab()
		<-ended
		for _, c := range b.complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	must(b.t, chromedp.Do(b.ctx, steps...))
}

// dressed sets the colour scheme.
func (b *tab) dressed(scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// ask evaluates an expression on the page.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}

// shoot takes a picture of the whole page.
func (b *tab) shoot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	must(b.t, err)
	decoded, err := png.Decode(bytes.NewReader(picture))
	must(b.t, err)
	if size := decoded.Bounds().Size(); size.X < phone || size.Y < high/2 {
		b.t.Errorf("%s: a picture of %s", name, size)
	}
	if *screenshots == "" {
		return
	}
	must(b.t, os.MkdirAll(*screenshots, 0o755))
	file, err := os.Create(filepath.Join(*screenshots, name+".png"))
	must(b.t, err)
	must(b.t, errors.Join((&png.Encoder{CompressionLevel: png.BestCompression}).Encode(file, small(decoded)), file.Close()))
}

// small is the picture in the 256 colours that it has most of, or those next to
// them.
func small(picture image.Image) image.Image {
	bounds := picture.Bounds()
	count := make(map[color.Color]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[picture.At(x, y)]++
		}
	}
	palette := color.Palette(slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] }))
	reduced := image.NewPaletted(bounds, palette[:min(len(palette), 256)])
	nearest := make(map[color.Color]uint8)
	for c := range count {
		nearest[c] = uint8(reduced.Palette.Index(c))
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			reduced.SetColorIndex(x, y, nearest[picture.At(x, y)])
		}
	}
	return reduced
}

// waitFor waits until the expression is true on the page.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	s := &scene{t: b.t}
	s.until(fmt.Sprintf("%s is true", expression), func() bool { return ask[bool](b, expression) })
}
