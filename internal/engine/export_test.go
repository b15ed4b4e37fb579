package engine

// Held gives how many bytes of events are in memory.
func (e *Engine) Held() int64 {
	e.dispatcher.mu.Lock()
	defer e.dispatcher.mu.Unlock()
	return e.dispatcher.bytes
}
