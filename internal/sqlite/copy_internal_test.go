package sqlite

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestALongCheckIsToldOfAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ended := tellOfCheck(slog.New(slog.NewTextHandler(&log, nil)), t.TempDir())
		time.Sleep(3*tellEvery + time.Second)
		ended(nil)
		if n := strings.Count(log.String(), "still looking"); n != 3 {
			t.Errorf("it was told of %d times in %v:\n%s", n, 3*tellEvery, &log)
		}
	})
}
