// Runs every case of h2spec against a server, and ends with 1 when one of them fails.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	port := flag.Int("port", 0, "where the server listens on 127.0.0.1")
	tls := flag.Bool("tls", false, "connect with TLS, whatever the certificate")
	path := flag.String("path", "/", "what to ask for: an answer of some bytes")
	flag.Parse()
	passed, err := h2spec.Run(&config.Config{
		Host:         "127.0.0.1",
		Port:         *port,
		Path:         *path,
		Timeout:      10 * time.Second,
		MaxHeaderLen: 4000,
		Strict:       true,
		TLS:          *tls,
		Insecure:     true,
		Sections:     flag.Args(),
	})
	if err != nil {
		fmt.Println(err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}
