package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

// inspectView is the list of someone's bins.
type inspectView struct {
	Bins   []binFacts
	Name   string
	Faults formFaults
}

// Short is the beginning of a bin's id, by which one without a name is known.
func (b binFacts) Short() string { return clip(b.ID, 4) }

// binFacts is what is known of a bin at a glance.
type binFacts struct {
	ID, Name, URL string
	Kept          int64
	Created, Ends time.Time
}

func (u *UI) factsOf(r *http.Request, bin *inspect.Bin) binFacts {
	return binFacts{ID: bin.ID, Name: bin.Name, URL: u.Bins.URL(r, bin.ID), Kept: bin.Kept(), Created: bin.CreatedAt, Ends: bin.EndsAt}
}

// bins shows the bins of who visits.
func (u *UI) bins(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.showBins(w, r, v, http.StatusOK, inspectView{})
}

func (u *UI) showBins(w http.ResponseWriter, r *http.Request, v *visit, status int, view inspectView) error {
	list, err := u.Bins.List(r.Context(), v.owner)
	if err != nil {
		return err
	}
	for _, bin := range list {
		view.Bins = append(view.Bins, u.factsOf(r, bin))
	}
	return u.render(w, v, status, "inspect", view)
}

// createBin makes a bin and shows it.
func (u *UI) createBin(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	name := r.PostForm.Get("name")
	bin, err := u.Bins.Create(r.Context(), v.owner, name)
	if kind := fattorino.KindOf(err); err != nil && (kind == fattorino.Invalid || kind == fattorino.TooMany) {
		view := inspectView{Name: name, Faults: formFaults{}}
		view.Faults.add("name", "%s", fattorino.AsError(err).Msg)
		return u.showBins(w, r, v, statusOf(kind), view)
	}
	if err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "bin.make", binDeed(bin.ID)); err != nil {
		return err
	}
	return done(w, r, binPath(bin.ID), "bin_made")
}

// binPath is where a bin's page is.
func binPath(id string) string { return base + "inspect/" + id }

// binView is the page of a bin.
type binView struct {
	Bin       binFacts
	Rows      []arrival
	Shown     *arrivalView // the request that is shown in full; nil = there is none
	Following bool         // that is the newest, and gives way to the next
	Newest    int64        // number of the newest request; 0 = there is none
	Older     string       // path of the next page; empty = this is the last
	Refused   string       // why this service will not send here itself; empty = it will
	Guessed   bool         // the address is as the browser has it, for no other is set
	Keys      []inspect.Key
	Failing   int // so many requests to come fail on purpose
	Form      answerForm
	Faults    formFaults

	chosen  int64         // number of the request that is to be shown in full; 0 = the newest
	entered *inspect.Keys // to check it with, this once
}

// binPage shows what has arrived at a bin.
func (u *UI) binPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	bin, err := u.binOf(r, v)
	if err != nil {
		return err
	}
	chosen, _ := strconv.ParseInt(r.URL.Query().Get("request"), 10, 64) // what is none is the newest
	return u.showBin(w, r, v, http.StatusOK, bin, &binView{Form: formOfAnswer(&bin.Answer), chosen: chosen})
}

// checkArrival checks the signatures of a request with a key that is entered
// for this alone: it is kept nowhere, and not shown again.
func (u *UI) checkArrival(w http.ResponseWriter, r *http.Request, v *visit) error {
	bin, err := u.binOf(r, v)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	view, status := &binView{Form: formOfAnswer(&bin.Answer), Faults: formFaults{}}, http.StatusOK
	if view.chosen, err = strconv.ParseInt(r.PostForm.Get("request"), 10, 64); err != nil || view.chosen < 1 {
		return fattorino.Errorf(fattorino.NotFound, "there is no such request")
	}
	if view.entered, err = inspect.ReadKeys(r.PostForm.Get("check")); err != nil {
		view.Faults.take(fattorino.AsError(err))
		status = http.StatusUnprocessableEntity
	}
	return u.showBin(w, r, v, status, bin, view)
}

func (u *UI) binOf(r *http.Request, v *visit) (*inspect.Bin, error) {
	return u.Bins.Bin(r.Context(), v.owner, r.PathValue("bin"))
}

// arrivalsShown is how many requests a page lists.
const arrivalsShown = 50

func (u *UI) showBin(w http.ResponseWriter, r *http.Request, v *visit, status int, bin *inspect.Bin, view *binView) error {
	view.Bin, view.Keys, view.Failing, view.Newest = u.factsOf(r, bin), bin.Keys, bin.Answer.Fail, bin.Next-1
	if err := u.Service.CheckSink(view.Bin.URL); err != nil {
		view.Refused = fattorino.AsError(err).Msg
	}
	view.Guessed = u.Bins.BaseURL == "" && !onLoopback(r) && v.link == nil
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // what is none begins with the newest
	list, err := u.Bins.Requests(r.Context(), bin, before, arrivalsShown)
	if err != nil {
		return err
	}
	if len(list) > 0 && list[len(list)-1].Number > bin.First {
		view.Older = nextPage(r.URL, "before", list[len(list)-1].Number)
	}
	view.Following = view.chosen == 0 && before == 0
	shown, err := u.shownRequest(r, bin, list, view.chosen)
	if err != nil {
		return err
	}
	var aid inspect.Aid
	if aid.Senders, err = u.senders(r, v, bin); err != nil {
		return err
	}
	for _, request := range list {
		row := u.arrivalOf(bin, request, aid)
		row.Current = shown != nil && request.Number == shown.Number && !view.Following
		view.Rows = append(view.Rows, row)
	}
	if shown != nil {
		aid.Entered = view.entered
		if view.Shown, err = u.viewArrival(v, bin, shown, aid); err != nil {
			return err
		}
		view.Shown.Fault = view.Faults["check"]
	}
	return u.render(w, v, status, "inspect_bin", view)
}

// shownRequest gives the request that was chosen, else the newest of the list.
func (u *UI) shownRequest(r *http.Request, bin *inspect.Bin, list []*inspect.Request, chosen int64) (*inspect.Request, error) {
	if at := slices.IndexFunc(list, func(q *inspect.Request) bool { return q.Number == chosen }); at >= 0 {
		return list[at], nil
	}
	if chosen > 0 {
		return u.Bins.Request(r.Context(), bin, chosen)
	}
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing has come, and nothing went wrong
	}
	return list[0], nil
}

// addBinKey gives a bin a key to check signatures with.
func (u *UI) addBinKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	bin, err := u.binOf(r, v)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	err = u.Bins.AddKey(r.Context(), v.owner, bin.ID, r.PostForm.Get("key"))
	if fattorino.KindOf(err) == fattorino.Invalid && err != nil {
		view := &binView{Form: formOfAnswer(&bin.Answer), Faults: formFaults{}}
		view.Faults.take(fattorino.AsError(err))
		return u.showBin(w, r, v, http.StatusUnprocessableEntity, bin, view)
	}
	if err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "bin.key", binDeed(bin.ID)); err != nil {
		return err
	}
	return done(w, r, binPath(bin.ID), "bin_key")
}

func (u *UI) clearBinKeys(w http.ResponseWriter, r *http.Request, v *visit) error {
	id := r.PathValue("bin")
	if err := u.Bins.ClearKeys(r.Context(), v.owner, id); err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "bin.keys_clear", binDeed(id)); err != nil {
		return err
	}
	return done(w, r, binPath(id), "bin_keys")
}

func (u *UI) clearBin(w http.ResponseWriter, r *http.Request, v *visit) error {
	id := r.PathValue("bin")
	if err := u.Bins.Clear(r.Context(), v.owner, id); err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "bin.clear", binDeed(id)); err != nil {
		return err
	}
	return done(w, r, binPath(id), "bin_cleared")
}

func (u *UI) deleteBin(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := u.Bins.Delete(r.Context(), v.owner, r.PathValue("bin")); err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "bin.delete", binDeed(r.PathValue("bin"))); err != nil {
		return err
	}
	return done(w, r, base+"inspect", "bin_deleted")
}

// answerForm is what is written in the fields of how a bin answers.
type answerForm struct {
	Proves                       bool
	Status, Delay, Headers, Body string
	Fail, FailStatus             string
}

func formOfAnswer(a *inspect.Answer) answerForm {
	var lines []string
	for _, h := range a.Header {
		lines = append(lines, h.Name+": "+h.Value)
	}
	return answerForm{
		Proves: a.Proves, Status: strconv.Itoa(a.Status), Delay: seconds(a.Delay), Headers: strings.Join(lines, "\n"), Body: a.Body,
		Fail: number(a.Fail), FailStatus: strconv.Itoa(a.FailStatus),
	}
}

func readAnswerForm(q url.Values) answerForm {
	return answerForm{
		Proves: q.Get("proves") != "", Status: q.Get("status"), Delay: strings.TrimSpace(q.Get("delay")), Headers: q.Get("header"), Body: strings.ReplaceAll(q.Get("body"), "\r\n", "\n"),
		Fail: strings.TrimSpace(q.Get("fail")), FailStatus: q.Get("fail_status"),
	}
}

// answer gives what the form asks for. What cannot be read is in the faults.
func (f *answerForm) answer(faults formFaults) inspect.Answer {
	a := inspect.Answer{Proves: f.Proves, Status: faults.integer("status", f.Status), Body: f.Body, FailStatus: faults.integer("fail_status", f.FailStatus)}
	if f.Delay != "0" {
		a.Delay = faults.seconds("delay", f.Delay)
	}
	if f.Fail != "0" {
		a.Fail = faults.integer("fail", f.Fail)
	}
	a.Header = faults.headers(f.Headers)
	if problem := faults["headers"]; problem != "" {
		faults.add("header", "%s", problem)
	}
	for i := range a.Header {
		a.Header[i].Secret = false // they are shown to their owner
	}
	return a
}

// setAnswer changes how a bin answers.
func (u *UI) setAnswer(w http.ResponseWriter, r *http.Request, v *visit) error {
	bin, err := u.binOf(r, v)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	view := &binView{Form: readAnswerForm(r.PostForm), Faults: formFaults{}}
	answer := view.Form.answer(view.Faults)
	if len(view.Faults) == 0 {
		err = u.Bins.SetAnswer(r.Context(), v.owner, bin.ID, answer)
		if e := fattorino.AsError(err); err != nil && e.Kind == fattorino.Invalid {
			view.Faults.take(e)
		} else if err != nil {
			return err
		}
	}
	if len(view.Faults) > 0 {
		return u.showBin(w, r, v, http.StatusUnprocessableEntity, bin, view)
	}
	if err := u.noteDeed(r, v, "bin.answer", binDeed(bin.ID)); err != nil {
		return err
	}
	return done(w, r, binPath(bin.ID), "bin_answer")
}

// binsOffered is how many bins the form of a subscription offers.
const binsOffered = 6

// binsToChoose gives the newest of them.
func (u *UI) binsToChoose(r *http.Request, v *visit) (list []binFacts, err error) {
	bins, err := u.Bins.List(r.Context(), v.owner)
	for _, bin := range bins[:min(len(bins), binsOffered)] {
		list = append(list, u.factsOf(r, bin))
	}
	return list, err
}

// chooseBin puts the address of a bin, an old one or a new, into the form of a
// subscription, and leaves all else as it was written.
func (u *UI) chooseBin(w http.ResponseWriter, r *http.Request, v *visit, view *formView) error {
	id := r.PostForm.Get("bin")
	bin, err := u.binToChoose(r, v, id, view.Form.Name)
	switch kind := fattorino.KindOf(err); {
	case err != nil && id == newBin && (kind == fattorino.TooMany || kind == fattorino.Invalid):
		view.Faults.add("sink", "%s", fattorino.AsError(err).Msg)
		return u.showForm(w, r, v, statusOf(kind), view)
	case err != nil:
		return err
	}
	view.Form.Sink, view.Chosen = u.Bins.URL(r, bin.ID), true
	return u.showForm(w, r, v, http.StatusOK, view)
}

// newBin stands in the place of the id of a bin that is to be made.
const newBin = "new"

func (u *UI) binToChoose(r *http.Request, v *visit, id, name string) (*inspect.Bin, error) {
	if id != newBin {
		return u.Bins.Bin(r.Context(), v.owner, id)
	}
	bin, err := u.Bins.Create(r.Context(), v.owner, strings.ToValidUTF8(clip(name, maxBinName), ""))
	if err == nil {
		err = u.noteDeed(r, v, "bin.make", binDeed(bin.ID))
	}
	return bin, err
}

// maxBinName is as long as the name of a bin may be, in bytes.
const maxBinName = 100
