package main

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// rawPosts is how many requests one run of the raw loop makes.
const rawPosts = 20_000

// raw posts the body to the sink with a plain net/http client on 64 kept-alive
// connections, and gives requests per second.
func raw(to *sink, body []byte) float64 {
	const connections = 64
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections, TLSClientConfig: to.trust()}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for range connections {
		all.Go(func() {
			for next.Add(1) <= rawPosts {
				answer, err := client.Post(to.URL+rawPath, "application/json", bytes.NewReader(body))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
	}
	all.Wait()
	return rawPosts / time.Since(begun).Seconds()
}
