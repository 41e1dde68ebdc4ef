package simulated

import (
	"errors"
	"strconv"
	"strings"
)

// Kind is a kind of update.
type Kind uint8

// The kinds, and how many sendMessage calls one of each is to be answered with.
const (
	Short       Kind = iota // a line; 1
	FourKB                  // 4,096 characters, the most that a message has; 1
	Markdown                // 1 KB of Markdown, answered marked up; 1
	Emoji                   // outside of the basic plane, escaped as Telegram does it; 1
	Group                   // a group's message that mentions the bot; 1, which quotes it
	Command                 // /ping; 1
	Long                    // a line that is answered with more than one message holds; 2
	Unmentioned             // a group's message that is not for the bot; 0
	Photo                   // a photo with a caption; 1
	Edited                  // an edited message; 0
	kinds
)

// shape is what the updates of one kind look like. text is as it stands in the JSON, times after each other.
type shape struct {
	name    string
	text    string
	times   int
	field   string // what holds the message, "" for message
	more    string // members of the message beside the usual
	caption bool   // text is a photo's
	group   bool
	answers int
}

const (
	line64   = `Sixty-four characters stand in this line, and many lines follow. `
	markdown = `# A heading\n\nSome **bold** and _slanted_ words, ` + "`code`" + ` and a [link](https://example.org/?a=1&b=2).\n\n` +
		`- one <item>\n- another & more\n\n` + "```go\\nfmt.Println(\\\"hello\\\")\\n```" + `\n\n> quoted, and ~~struck~~\n\nThe last paragraph says ` +
		`nothing new, at some length.\n\n`
	mention = `,"entities":[{"offset":0,"length":14,"type":"mention"}]`
	command = `,"entities":[{"offset":0,"length":5,"type":"bot_command"}]`
	photo   = `,"photo":[{"file_id":"AgACAgIAAxkBAAIB","file_unique_id":"AQADr8","file_size":1253,"width":90,"height":67},` +
		`{"file_id":"AgACAgIAAxkBAAIC","file_unique_id":"AQADr9","file_size":68114,"width":800,"height":600}]`
	edited = `,"edit_date":1800000100`
)

var shapes = [kinds]shape{
	Short:       {name: "short", text: "Hello, is anybody there?", answers: 1},
	FourKB:      {name: "4k", text: line64[:64], times: 64, answers: 1},
	Markdown:    {name: "markdown", text: markdown, times: 4, answers: 1},
	Emoji:       {name: "emoji", text: `\ud83d\ude80\u00e9\ud83d\udc69\u200d\ud83d\ude80 \u4f60\u597d `, times: 16, answers: 1},
	Group:       {name: "group", text: `@` + Name + ` what is the time?`, more: mention, group: true, answers: 1},
	Command:     {name: "command", text: "/ping", more: command, answers: 1},
	Long:        {name: "long", text: storyWish, answers: 2},
	Unmentioned: {name: "unmentioned", text: "Has anybody seen my keys?", group: true},
	Photo:       {name: "photo", text: "My board, and a coin", more: photo, caption: true, answers: 1},
	Edited:      {name: "edited", text: "Hello, is anybody here?", more: edited, field: "edited_message"},
}

// String is the kind's name.
func (k Kind) String() string { return shapes[k].name }

// Answers is how many sendMessage calls an update of this kind is to be answered with.
func (k Kind) Answers() int { return shapes[k].answers }

// All is every kind once.
func All() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// ParseKinds reads names with commas between, or "all".
func ParseKinds(text string) ([]Kind, error) {
	if text == "all" {
		return All(), nil
	}
	var found []Kind
	for _, name := range strings.Split(text, ",") {
		kind, known := Kind(0), false
		for i := range shapes {
			if shapes[i].name == name {
				kind, known = Kind(i), true
			}
		}
		if !known {
			return nil, errors.New("there is no kind of message " + strconv.Quote(name) + "; there are " + names())
		}
		found = append(found, kind)
	}
	return found, nil
}

func names() string {
	text := "all"
	for i := range shapes {
		text += ", " + shapes[i].name
	}
	return text
}

// firstPerson and firstGroup make a chat of its own for each update, so that an answer tells what it answers.
const (
	firstPerson = 1_000_000_000
	firstGroup  = -1_001_000_000_000 // a supergroup's; they go downwards
)

// appendUpdate appends the update of one kind as getUpdates brings it (core.telegram.org/bots/api#update).
func appendUpdate(to []byte, id int64, kind Kind) []byte {
	shape := &shapes[kind]
	number := func(before string, value int64) {
		to = strconv.AppendInt(append(to, before...), value, 10)
	}
	number(`{"update_id":`, id)
	field := shape.field
	if field == "" {
		field = "message"
	}
	to = append(append(append(to, `,"`...), field...), `":{`...)
	number(`"message_id":`, id)
	number(`,"from":{"id":`, firstPerson+id)
	to = append(to, `,"is_bot":false,"first_name":"Ada","last_name":"Lovelace","username":"ada","language_code":"en"}`...)
	if shape.group {
		number(`,"chat":{"id":`, firstGroup-id)
		to = append(to, `,"title":"Engines","type":"supergroup"}`...)
	} else {
		number(`,"chat":{"id":`, firstPerson+id)
		to = append(to, `,"first_name":"Ada","last_name":"Lovelace","username":"ada","type":"private"}`...)
	}
	to = append(append(to, `,"date":1800000000`...), shape.more...)
	if shape.caption {
		to = append(to, `,"caption":"`...)
	} else {
		to = append(to, `,"text":"`...)
	}
	for range max(shape.times, 1) {
		to = append(to, shape.text...)
	}
	return append(to, `"}}`...)
}

// update is the number of the update whose chat this is.
func update(chat int64) int64 {
	if chat < 0 {
		return firstGroup - chat
	}
	return chat - firstPerson
}
