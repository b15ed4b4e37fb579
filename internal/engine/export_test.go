package engine

// Held gives how many bytes of events are in memory.
func (e *Engine) Held() int64 {
	e.dispatcher.mu.Lock()
	defer e.dispatcher.mu.Unlock()
	return e.dispatcher.bytes
}

// Windows gives how many deliveries the lanes have in their windows.
func (e *Engine) Windows() (all []int) {
	e.dispatcher.mu.Lock()
	defer e.dispatcher.mu.Unlock()
	for _, l := range e.dispatcher.lanes {
		all = append(all, l.window.len())
	}
	return all
}
