package sqlite

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAPageOfALaneHasWhatWasPutOnIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var want []ref
		r := ref{subscription: 7}
		for range rapid.IntRange(1, 300).Draw(t, "deliveries") {
			r.id += rapid.Int64Range(1, 1<<40).Draw(t, "id")
			r.event += rapid.Int64Range(0, 1<<40).Draw(t, "event")
			want = append(want, r)
		}
		page := beginLanePage(want[0].id)
		for _, r := range want {
			page.add(r.id, r.event)
		}
		got, err := unpackLane(7, page.first, page.packed, nil)
		if err != nil || !slices.Equal(got, want) || page.last != want[len(want)-1].id {
			t.Fatalf("%v to %d, %v; want %v", got, page.last, err, want)
		}
	})
}

func TestTheTargetsOfAnEventAreItsDeliveries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		targets := rapid.SliceOf(rapid.Int64Range(1, 1<<50)).Draw(t, "subscriptions, in any order")
		got, err := unpackTargets(3, 1000, packTargets(targets))
		if err != nil || len(got) != len(targets) {
			t.Fatal(got, err)
		}
		for i, subscription := range targets {
			if want := (ref{1000 + int64(i), 3, subscription}); got[i] != want {
				t.Fatalf("delivery %d is %v, want %v", i, got[i], want)
			}
		}
	})
}

func TestABlockHasTheSuccessesThatWerePutInIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const block = 11
		type one struct {
			id int64
			success
		}
		var packed []byte
		var got, want []one
		for range rapid.IntRange(1, 5).Draw(t, "commits") {
			s := success{rapid.Int64Range(0, 1<<40).Draw(t, "page"), rapid.IntRange(0, 999).Draw(t, "status"), rapid.Int64Range(0, 1<<52).Draw(t, "settled")}
			ids := rapid.SliceOfNDistinct(rapid.Int64Range(block*blockSize, (block+1)*blockSize-1), 1, 20, rapid.ID).Draw(t, "ids")
			slices.Sort(ids)
			packed = appendSuccess(packed, s, ids)
			for _, id := range ids {
				want = append(want, one{id, s})
			}
		}
		err := eachSuccess(block, packed, func(id int64, s success) { got = append(got, one{id, s}) })
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	})
}

// Whatever is in the file, reading it ends, and gives no more than there was.
func FuzzPacked(f *testing.F) {
	page := beginLanePage(5)
	page.add(5, 1)
	page.add(15, 2)
	f.Add(page.packed)
	f.Add(packTargets([]int64{3, 1, 1 << 40}))
	f.Add(appendSuccess(nil, success{1, 200, 1 << 50}, []int64{512, 513, 1023}))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, packed []byte) {
		lane, _ := unpackLane(1, 1, packed, nil)
		targets, _ := unpackTargets(1, 1, packed)
		successes := 0
		_ = eachSuccess(1, packed, func(int64, success) { successes++ })
		if most := len(packed); len(lane) > most || len(targets) > most || successes > most {
			t.Errorf("%d, %d and %d of %d bytes", len(lane), len(targets), successes, len(packed))
		}
	})
}
