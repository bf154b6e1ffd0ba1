package process

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func write(t *testing.T, path string, data []byte, perm fs.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, data, perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func openSSH(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "comment")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestWriterKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "writer.key")
	if _, _, err := WriterKey(path, false, rand.Reader); err == nil || !strings.Contains(err.Error(), "--provision") {
		t.Errorf("absent: %v, want advice", err)
	}
	made, keep, err := WriterKey(path, true, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the key is kept: %v, want no file", err)
	}
	for range 2 {
		if err := keep(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	again, keep, err := WriterKey(path, true, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(); err != nil {
		t.Errorf("keep a key that was read: %v", err)
	}
	if !made.Equal(again) {
		t.Error("the second start has another key")
	}
	if _, err := CreateWriterKey(path, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second creation: %v, want fs.ErrExist", err)
	}
	if _, _, err := WriterKey("", true, rand.Reader); err == nil {
		t.Error("an empty path was accepted")
	}
}

func TestReadWriterKey(t *testing.T) {
	dir := t.TempDir()
	key := newKey(t)
	for name, data := range map[string][]byte{"pkcs8": pkcs8(t, key), "openssh": openSSH(t, key)} {
		read, err := ReadWriterKey(write(t, filepath.Join(dir, name), data, 0o600))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !read.Equal(key) {
			t.Errorf("%s: another key", name)
		}
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"p256": pkcs8(t, p256), "empty": nil, "text": []byte("secret text"),
		"passphrase": pem.EncodeToMemory(locked), "cut": pkcs8(t, key)[:60],
		"large": append(pkcs8(t, key), make([]byte, maxKeyFile)...),
	} {
		path := write(t, filepath.Join(dir, name), data, 0o600)
		_, err := ReadWriterKey(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows content: %v", name, err)
		}
	}
}

func TestPrivateFileIsForItsOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	for _, perm := range []fs.FileMode{0o640, 0o604, 0o620, 0o666} {
		path := write(t, filepath.Join(dir, "key"), []byte("x"), perm)
		if _, err := ReadPrivateFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v, want a refusal with advice", perm, err)
		}
	}
	if _, err := ReadPrivateFile(write(t, filepath.Join(dir, "owner"), []byte("x"), 0o400)); err != nil {
		t.Errorf("mode 0400, as systemd gives root its credentials: %v", err)
	}
	// systemd gives credentials to another user by an access list, which shows
	// as a group's right to read.
	path := write(t, filepath.Join(dir, "key"), []byte("x"), 0o440)
	t.Setenv("CREDENTIALS_DIRECTORY", dir+"/")
	if _, err := ReadPrivateFile(path); err != nil {
		t.Errorf("a credential: %v", err)
	}
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivateFile(write(t, filepath.Join(below, "key"), []byte("x"), 0o440)); err == nil {
		t.Error("a file elsewhere passed as a credential")
	}
	if _, err := ReadPrivateFile(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v, want fs.ErrNotExist", err)
	}
}
