//go:build telegram

package main

import (
	"errors"
	"slices"
	"strings"

	"slimdeploy/gateway/internal/config"
)

// reload puts other settings in force between two messages, and tells which are other ones. A new bot, or another way to
// it, has to answer getMe first; then its line takes over. After an error all is as before. One at a time may run.
func (c *channel) reload(settings *config.Config) (changed string, err error) {
	found, err := check(settings)
	if err != nil {
		return "", err
	}
	var names []string
	provider, interrupt := c.replier.Provider, c.interrupt
	if !sameAnswers(found.answers, c.wanted.answers) {
		names = append(names, "provider")
		if provider, interrupt, err = newProvider(&found.answers); err != nil {
			return "", err
		}
	}
	var next *line
	if found.account != c.wanted.account || !sameProxy(found.proxy, c.wanted.proxy) {
		names = append(names, "bot")
		if next, err = c.newLine(&found); err != nil {
			return "", err
		}
		if _, err := next.poller.Bot.Name(); err != nil {
			next.poller.Bot.Close()
			return "", errors.New("getMe fails with it: " + err.Error())
		}
	}
	if !slices.Equal(found.access, c.wanted.access) {
		names = append(names, "allow_from")
	}
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	current.poller.Between(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.replier.Provider, c.interrupt = provider, interrupt
		current.poller.Access = found.access
		if next != nil && !c.halting {
			c.next = next
			close(current.stop)
		}
	})
	c.wanted = found
	if next != nil {
		select {
		case <-next.began:
		case <-c.ended:
		}
	}
	if len(names) == 0 {
		return "nothing", nil
	}
	return strings.Join(names, " "), nil
}
