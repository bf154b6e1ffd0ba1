package manifest

// compact returns a JSON text without the white space between its tokens, or nil
// when there is none, or when there is some that no grammar allows: between two
// tokens that nothing structural separates, which would become one. So what it
// returns is valid exactly when data is, and means the same.
func compact(data []byte) []byte {
	var out []byte
	kept := 0 // up to where data is in out
	for at := 0; at < len(data); {
		switch b := data[at]; {
		case b == '"':
			at = behindString(data, at)
		case isSpace(b):
			end := at + 1
			for end < len(data) && isSpace(data[end]) {
				end++
			}
			if !isStructural(data, at-1) && !isStructural(data, end) {
				return nil
			}
			if out == nil {
				out = make([]byte, 0, len(data))
			}
			out = append(out, data[kept:at]...)
			at, kept = end, end
		default:
			at++
		}
	}
	if out == nil {
		return nil
	}
	return append(out, data[kept:]...)
}

// behindString is where the string that begins at begin is over.
func behindString(data []byte, begin int) int {
	if end := behindPlain(data, begin); end <= len(data) {
		return end
	}
	for at := begin + 1; at < len(data); at++ {
		switch data[at] {
		case '"':
			return at + 1
		case '\\':
			at++
		}
	}
	return len(data)
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// isStructural tells whether a byte separates tokens, as the ends of data do.
func isStructural(data []byte, at int) bool {
	if at < 0 || at >= len(data) {
		return true
	}
	switch data[at] {
	case '{', '}', '[', ']', ',', ':':
		return true
	}
	return false
}
