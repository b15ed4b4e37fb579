package egress

import (
	"errors"
	"io"
	"net/http/httputil"
)

// pieceSize is how much of a body is read at a time, in bytes: little, as each
// exchange under way has room for it and most bodies are short.
const pieceSize = 512

// body reads the body that follows a head (RFC 9112, section 6.3), as far as
// maxBody, and gives its beginning, at most keep bytes. truncated tells that
// there was more, or that the rest did not come. ended tells that the body was
// read to an end after which another answer can follow.
func (a *answerReader) body(h head, method string, keep int) (kept []byte, truncated, ended bool) {
	switch {
	case h.status == 204: // a body that comes all the same is no answer to the next request
		return nil, false, !h.chunked && h.length <= 0
	case h.status == 304 || method == "HEAD": // these say how long another body would be
		return nil, false, true
	case h.chunked:
		kept, truncated, ended = takeBody(&chunks{httputil.NewChunkedReader(a.from), a}, a.piece[:], keep)
		return kept, truncated, ended
	case h.length >= 0:
		a.sized = io.LimitedReader{R: a.from, N: h.length}
		kept, truncated, _ = takeBody(&a.sized, a.piece[:], keep)
		return kept, truncated || a.sized.N > 0, a.sized.N == 0
	}
	kept, truncated, _ = takeBody(a.from, a.piece[:], keep)
	return kept, truncated, false // closing the connection is the end
}

// takeBody reads a body, a piece at a time. truncated and ended are those of
// [answerReader.body]; a body that is too long has no end.
func takeBody(from io.Reader, piece []byte, keep int) (kept []byte, truncated, ended bool) {
	// One read goes past the limit, to find the end of a body just as long.
	for read := 0; read <= maxBody; {
		n, err := from.Read(piece)
		room := min(n, keep-len(kept))
		kept = append(kept, piece[:room]...)
		truncated = truncated || room < n
		read += n
		if err != nil {
			ended = errors.Is(err, io.EOF)
			return kept, truncated || !ended, ended
		}
	}
	return kept, true, false
}

// chunks is a body in chunks, read together with the trailer that follows it.
// What the trailer says is not kept, and its size counts for the header's
// limit.
type chunks struct {
	io.Reader
	after *answerReader
}

// Read reads what the chunks hold.
func (c *chunks) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	for {
		line, bad := c.after.line()
		if bad != nil {
			return n, bad
		}
		if len(line) == 0 {
			return n, io.EOF
		}
	}
}
