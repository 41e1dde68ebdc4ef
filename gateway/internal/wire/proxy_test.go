package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// connectProxy is a real CONNECT proxy on 127.0.0.1; it says of each request what it was asked for.
func connectProxy(t *testing.T, status int, asked chan<- *http.Request) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				request, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				asked <- request
				if status != 200 {
					io.WriteString(conn, "HTTP/1.1 "+http.StatusText(status)+"\r\n\r\n")
					return
				}
				there, err := net.Dial("tcp", request.Host)
				if err != nil {
					return
				}
				defer there.Close()
				io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
				go io.Copy(there, in)
				io.Copy(conn, there)
			}()
		}
	}()
	return listener.Addr().String()
}

func throughProxy(t *testing.T, proxy string) (*Client, *httptest.Server) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write([]byte("got " + string(body)))
	}))
	t.Cleanup(server.Close)
	endpoint, err := ParseEndpoint(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(endpoint, server.Client().Transport.(*http.Transport).TLSClientConfig)
	if client.Proxy, err = ParseProxy(proxy); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestATunnelLeadsThroughAProxyAndIsKept(t *testing.T) {
	asked := make(chan *http.Request, 4)
	client, server := throughProxy(t, "http://me:s3cret@"+connectProxy(t, 200, asked))
	for range 2 {
		err := client.Post([]byte("/x"), []byte("hello"), 5*time.Second, func(status int, body io.Reader) error {
			if text, _ := io.ReadAll(body); string(text) != "got hello" {
				t.Errorf("%d %q", status, text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	request := <-asked
	if request.Method != "CONNECT" || "https://"+request.Host != server.URL || request.Header.Get("Proxy-Authorization") != "Basic bWU6czNjcmV0" {
		t.Errorf("%s %s %v", request.Method, request.Host, request.Header)
	}
	if len(asked) != 0 {
		t.Error("the connection was not kept")
	}
}

func TestAProxyThatRefusesIsNamedWithoutItsPassword(t *testing.T) {
	for status, wanted := range map[int]string{407: "wants a login", 403: "the proxy makes no connection", 502: "the proxy makes no connection"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 "+map[int]string{407: "407 Proxy Authentication Required", 403: "403 Forbidden", 502: "502 Bad Gateway"}[status]+"\r\nContent-Length: 0\r\n\r\n")
		}()
		client, _ := throughProxy(t, "http://me:s3cret@"+listener.Addr().String())
		err = client.Post([]byte("/"), nil, 5*time.Second, func(int, io.Reader) error { return nil })
		if err == nil || !strings.Contains(err.Error(), wanted) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestWhatIsNoProxyIsRefused(t *testing.T) {
	for _, text := range []string{"", "proxy:3128", "https://proxy:3128", "http://", "http://p:0", "http://p:3128/path", "http://a\r\nb@p:1"} {
		if proxy, err := ParseProxy(text); err == nil {
			t.Errorf("%q is taken for %+v", text, proxy)
		}
	}
	proxy, err := ParseProxy("http://a@b:c@[::1]:3128")
	if err != nil || proxy.login != "a@b:c" || proxy.Endpoint.Host != "::1" {
		t.Error(proxy, err)
	}
}

func TestAProxysLoginIsPercentDecoded(t *testing.T) {
	for written, wanted := range map[string]string{
		"":               "",
		"me:s3cret":      "me:s3cret",
		"me:p%40ss%3Aw":  "me:p@ss:w",
		"m%C3%BC:%2f%2F": "mü://",
		"me:100%":        "me:100%",
		"me:%4":          "me:%4",
		"me:%zz%25":      "me:%zz%",
		"me:%+1":         "me:%+1",
	} {
		proxy, err := ParseProxy("http://" + written + "@proxy:3128")
		if err != nil || proxy.login != wanted {
			t.Errorf("%q: %+v, %v", written, proxy, err)
		}
	}
}
