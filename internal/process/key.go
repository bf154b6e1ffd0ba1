package process

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fleetlog/internal/durable"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds what is read as a key.
const maxKeyFile = 64 << 10

// ReadPrivateFile reads a small secret file that only its owner may read. The
// credentials that systemd hands to a unit pass with the mode that it gives
// them: their directory is closed to others.
func ReadPrivateFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 && !isCredential(path) {
		return nil, fmt.Errorf("%s is open to others (mode %#o): run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: it is no key", path, maxKeyFile)
	}
	return data, nil
}

func isCredential(path string) bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(filepath.Clean(path)) == filepath.Clean(dir)
}

// ReadWriterKey reads an ed25519 key: PKCS#8 PEM or OpenSSH, mode 0600.
func ReadWriterKey(path string) (ed25519.PrivateKey, error) {
	data, err := ReadPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("read writer key: %w", err)
	}
	key, err := parsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read writer key %s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read writer key %s: it is a %T, want ed25519", path, key)
	}
	return private, nil
}

// parsePrivateKey reads PKCS#8, PKCS#1, SEC 1 and OpenSSH keys.
func parsePrivateKey(data []byte) (any, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if block.Type == "PRIVATE KEY" {
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		return nil, err
	}
	if pointer, ok := key.(*ed25519.PrivateKey); ok {
		return *pointer, nil
	}
	return key, nil
}

// CreateWriterKey makes a new key and writes it as PKCS#8 PEM, mode 0600. It
// never replaces a file.
func CreateWriterKey(path string, random io.Reader) (ed25519.PrivateKey, error) {
	key, keep, err := newWriterKey(path, random)
	if err != nil {
		return nil, err
	}
	return key, keep()
}

// newWriterKey makes a key that is written when keep is called, once.
func newWriterKey(path string, random io.Reader) (key ed25519.PrivateKey, keep func() error, err error) {
	if _, key, err = ed25519.GenerateKey(random); err != nil {
		return nil, nil, fmt.Errorf("make writer key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make writer key: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	kept := false
	return key, func() error {
		if kept {
			return nil
		}
		if err := durable.CreateExclusive(path, data, 0o600); err != nil {
			return fmt.Errorf("make writer key: %w", err)
		}
		kept = true
		return nil
	}, nil
}

// WriterKey reads the key, or makes one when it is absent and create is set. One
// that it makes is on disk once keep has returned nil, so that no key is left
// behind where there was no log to make; keep may be called again, and does
// nothing then, nor for a key that was read.
func WriterKey(path string, create bool, random io.Reader) (key ed25519.PrivateKey, keep func() error, err error) {
	if path == "" {
		return nil, nil, errors.New("no writer key: give --writer-key-file")
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if create {
			return newWriterKey(path, random)
		}
		return nil, nil, fmt.Errorf("writer key %s does not exist: give --provision to make one and a new log, or the key of the log", path)
	}
	key, err = ReadWriterKey(path)
	return key, func() error { return nil }, err
}
