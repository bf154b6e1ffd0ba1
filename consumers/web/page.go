package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"fleetlog/consumers/explain"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	styleText []byte
	//go:embed page.js
	scriptText []byte
)

// contentPolicy lets a page have what this server serves, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages are what people look at with a browser.
type pages struct {
	server *Server
	seen   *shared
	texts  *template.Template
	codes  map[string]explain.Page
}

// pages serves the page at /, what it needs, and what the codes on it mean.
func (s *Server) pages(mux *http.ServeMux, seen *shared) {
	p := &pages{server: s, seen: seen, codes: make(map[string]explain.Page)}
	for _, page := range explain.Pages() {
		p.codes[page.Code] = page
	}
	p.texts = template.Must(template.New("pages").Funcs(template.FuncMap{
		"code": p.code, "number": digits, "counted": counted, "stamp": stamp, "clock": clock, "plain": plain,
	}).Parse(pageText))
	for path, h := range map[string]http.Handler{
		"/{$}":            read(p.front),
		"/explain/{$}":    read(p.index),
		"/explain/{code}": read(p.explain),
		"/page.css":       asset("text/css; charset=utf-8", styleText),
		"/page.js":        asset("text/javascript; charset=utf-8", scriptText),
	} {
		mux.Handle(path, inProtocol(s.authenticated(h)))
	}
}

func (p *pages) front(w http.ResponseWriter, r *http.Request) {
	p.write(w, "front", p.contents(p.server.stand(r.Context(), p.seen)))
}

func (p *pages) index(w http.ResponseWriter, _ *http.Request) { p.write(w, "index", explain.Pages()) }

func (p *pages) explain(w http.ResponseWriter, r *http.Request) {
	page, ok := p.codes[r.PathValue("code")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	p.write(w, "explain", page)
}

// write writes a page whole or not at all.
func (p *pages) write(w http.ResponseWriter, name string, contents any) {
	var page bytes.Buffer
	if err := p.texts.ExecuteTemplate(&page, name, contents); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	_, _ = w.Write(page.Bytes()) // the client is gone
}

func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// asset serves a file of the page, which a browser asks for again each time.
func asset(contentType string, data []byte) http.Handler {
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(data))
	return read(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		secure(h)
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		if has(r.Header.Values("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // the client is gone
	})
}

// code is a code as the page shows it, with the path of what it means; empty
// when there is none.
func (p *pages) code(code any) link {
	text := fmt.Sprint(code)
	l := link{Text: plain(text)}
	if _, ok := p.codes[text]; ok {
		l.Path = "/explain/" + text
	}
	return l
}

type link struct{ Text, Path string }

// String is what a link shows.
func (l link) String() string { return cmp.Or(l.Text, l.Path) }
