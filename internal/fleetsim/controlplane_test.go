package fleetsim

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"fleetlog/manifest"
)

var signedAt = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func signers(t *testing.T) map[string]*Signer {
	t.Helper()
	p256, err := NewP256Signer(1)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Signer{"ed25519": NewEd25519Signer(1), "ecdsa-p256": p256}
}

// TestReleasesVerify signs both revisions with both algorithms, and demands that
// verification makes the whole set of each.
func TestReleasesVerify(t *testing.T) {
	for algorithm, signer := range signers(t) {
		for _, older := range []bool{false, true} {
			fleet := Fleet{Hosts: 50, Channels: 4, Idle: 1, Older: older, Commit: "0123abcd", SignedAt: signedAt}
			t.Run(fmt.Sprintf("%s/older=%t", algorithm, older), func(t *testing.T) {
				release, err := fleet.Sign(signer)
				if err != nil {
					t.Fatal(err)
				}
				trust, err := manifest.ParseTrust(signer.Trust())
				if err != nil {
					t.Fatal(err)
				}
				policy := manifest.Policy{Trust: trust, Now: signedAt.Add(time.Minute), Window: 3600}
				received := pairOf(release, "fleet.resolved.json")
				verified, err := manifest.VerifyFleet(received, policy)
				if err != nil {
					t.Fatal(err)
				}
				rollouts := make(map[string]manifest.Received)
				for _, p := range manifest.Project(verified, manifest.SchemeOf(verified.Value())) {
					if !p.Idle {
						rollouts[p.Channel] = pairOf(release, "rollouts/"+p.ID.String()+".json")
					}
				}
				set, refused, err := manifest.Assemble(received, rollouts, "", policy)
				if err != nil || len(refused) > 0 || len(set.Rollouts()) != fleet.Channels {
					t.Errorf("set %v, refused %v, error %v", set, refused, err)
				}
			})
		}
	}
}

func pairOf(release Release, name string) manifest.Received {
	return manifest.Received{Body: release[name].Data, Signature: release[name+".sig"].Data}
}

// TestControlPlaneAnswers holds the status codes that were observed of a real
// control plane.
func TestControlPlaneAnswers(t *testing.T) {
	pki, err := NewPKI(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	plane, err := Start(t.Context(), pki, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	with, without := client(t, pki, true), client(t, pki, false)

	if status, body := get(t, with, plane.URL()+"/v1/fleet.resolved", nil); status != 503 || body != `{"error":"control plane not ready","reason":"awaiting first signed artifact"}` {
		t.Errorf("without a release: %d %s", status, body)
	}
	release, err := Fleet{Hosts: 4, Channels: 2, Older: true, Commit: "abc", SignedAt: signedAt}.Sign(NewEd25519Signer(1))
	if err != nil {
		t.Fatal(err)
	}
	var good, other string
	for name := range release {
		if len(name) == len("rollouts/")+64+len(".json") {
			good, other = name[len("rollouts/"):len(name)-len(".json")], good
		}
	}
	release["rollouts/"+other+".json"].Data = []byte(`{"changed":true}`)
	release["rollouts/unsigned@ab.json"] = release["fleet.resolved.json"]
	plane.SetRelease(release)

	protocol := func(values ...string) http.Header { return http.Header{"X-Nixfleet-Protocol": values} }
	for _, c := range []struct {
		path   string
		client *http.Client
		header http.Header
		want   int
	}{
		{"/v1/fleet.resolved", with, nil, 200},
		{"/v1/fleet.resolved/sig", with, nil, 200},
		{"/v1/rollouts/" + good, with, nil, 200},
		{"/v1/rollouts/" + good + "/sig", with, nil, 200},
		{"/v1/rollouts/" + good + "?x=1", with, nil, 200},
		{"/v1/rollouts/" + good + "/", with, nil, 404},
		{"/v1/rollouts/" + other, with, nil, 500},
		{"/v1/rollouts/" + other + "/sig", with, nil, 500},
		{"/v1/rollouts/unsigned@ab", with, nil, 500},
		{"/v1/rollouts/stable@abc", with, nil, 404},
		{"/v1/rollouts/abc", with, nil, 404},
		{"/v1/rollouts/..%2f..", with, nil, 404},
		{"/v1/fleet.resolved", without, nil, 401},
		{"/v1/no-such-route", without, nil, 401},
		{"/v1/fleet.resolved", with, protocol("1"), 200},
		{"/v1/fleet.resolved", with, protocol("+1"), 200},
		{"/v1/fleet.resolved", with, protocol("01"), 200},
		{"/v1/fleet.resolved", with, protocol("1", "2"), 200},
		{"/v1/fleet.resolved", with, protocol("2", "1"), 426},
		{"/v1/fleet.resolved", with, protocol("0"), 426},
		{"/v1/fleet.resolved", with, protocol("abc"), 400},
		{"/v1/fleet.resolved", with, protocol(""), 400},
		{"/v1/fleet.resolved", with, protocol("-1"), 400},
		{"/v1/fleet.resolved", with, protocol("99999999999"), 400},
		{"/v1/fleet.resolved", without, protocol("2"), 426},
		{"/healthz", without, protocol("2"), 200},
	} {
		if got, _ := get(t, c.client, plane.URL()+c.path, c.header); got != c.want {
			t.Errorf("%s with certificate %t, header %v: %d, want %d", c.path, c.client == with, c.header, got, c.want)
		}
	}
}

func client(t *testing.T, pki *PKI, certificate bool) *http.Client {
	t.Helper()
	files, err := pki.WriteClient(t.TempDir(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if certificate {
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, client *http.Client, url string, header http.Header) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	if header == nil {
		request.Header = http.Header{}
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}
