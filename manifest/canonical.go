package manifest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxArtifact is the largest artifact in bytes that is read.
const MaxArtifact = 16 << 20

// maxDepth is how many containers may be nested, as the producer's own parser
// has it.
const maxDepth = 127

// canonicalForm is RFC 8785 of received bytes. It refuses, as kind Parse, what
// is not one JSON value in UTF-8, duplicate member names, lone surrogates,
// numbers beyond the largest double, and more than 127 nested containers.
func canonicalForm(data []byte) ([]byte, *Rejection) {
	if !utf8.Valid(data) {
		return nil, reject(KindParse, "not UTF-8")
	}
	if err := checkLimits(data); err != nil {
		return nil, reject(KindParse, "%s", parseDetail(err)).because(err)
	}
	canonical := jsontext.Value(bytes.Clone(data))
	if err := canonical.Canonicalize(); err != nil {
		return nil, reject(KindCanonicalize, "has no canonical form").because(err)
	}
	return canonical, nil
}

// Canonicalize returns the RFC 8785 form of data, any JSON value, which is what
// is signed and hashed. The error is a [*Rejection] of kind [KindParse].
func Canonicalize(data []byte) ([]byte, error) {
	canonical, rejection := canonicalForm(data)
	if rejection != nil {
		return nil, rejection
	}
	return canonical, nil
}

var (
	errDepth  = errors.New("more than 127 nested containers")
	errNumber = errors.New("a number is beyond the largest double")
	errExtra  = errors.New("data behind the value")
)

// checkLimits reads data as one JSON value.
func checkLimits(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if dec.StackDepth() > maxDepth {
			return errDepth
		}
		if token.Kind() == '0' && isOverflow(token.String()) {
			return errNumber
		}
		if dec.StackDepth() == 0 {
			break
		}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errExtra
	}
	return nil
}

func isOverflow(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	return err != nil || math.IsInf(f, 0)
}

// parseDetail names the fault and, where there is one, its byte.
func parseDetail(err error) string {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "duplicate object member"
	case errors.As(err, &syntactic):
		return "not JSON at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "JSON ends early"
	}
	return err.Error()
}
