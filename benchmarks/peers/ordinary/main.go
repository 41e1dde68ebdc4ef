// Command ordinary is the same gateway written the ordinary way, with net/http and encoding/json: the peer that the slim
// one is measured against. It takes the same config, polls, echoes, and answers on the health port; nothing more.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type config struct {
	Channels struct {
		Telegram struct {
			Token   string `json:"token"`
			BaseURL string `json:"base_url"`
			CAFile  string `json:"ca_file"`
		} `json:"telegram"`
	} `json:"channels"`
	Gateway struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	} `json:"gateway"`
}

type update struct {
	ID      int64 `json:"update_id"`
	Message *struct {
		Chat struct {
			ID int64 `json:"id"`
		} `json:"chat"`
		Text string `json:"text"`
	} `json:"message"`
}

func main() {
	text, err := os.ReadFile(os.Args[len(os.Args)-1])
	if err != nil {
		log.Fatal(err)
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(c.Channels.Telegram.CAFile)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: time.Minute}
	call := func(method string, question, answer any) error {
		body, err := json.Marshal(question)
		if err != nil {
			return err
		}
		response, err := client.Post(c.Channels.Telegram.BaseURL+"/bot"+c.Channels.Telegram.Token+"/"+method,
			"application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return json.NewDecoder(response.Body).Decode(answer)
	}
	ready := false
	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(map[string]any{"status": "ok"})
	})
	go func() {
		log.Fatal(http.ListenAndServe(fmt.Sprintf("%s:%d", c.Gateway.Host, c.Gateway.Port), nil))
	}()
	for offset, wait := int64(0), 0; ; wait = 45 {
		var got struct {
			Result []update `json:"result"`
		}
		if err := call("getUpdates", map[string]any{"offset": offset, "timeout": wait}, &got); err != nil {
			log.Print(err)
			time.Sleep(time.Second)
			continue
		}
		ready = true
		for _, u := range got.Result {
			if u.Message != nil && u.Message.Text != "" {
				var sent struct{}
				if err := call("sendMessage", map[string]any{"chat_id": u.Message.Chat.ID, "text": u.Message.Text}, &sent); err != nil {
					log.Print(err)
				}
			}
			offset = u.ID + 1
		}
	}
}
