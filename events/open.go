package events

import "fmt"

// Open makes the first message of a log: who may write it and what it
// continues. It will be stored at sequence 1.
func Open(fleet FleetName, lineage string, at Time, opening Opening) (Message, error) {
	e := &LogOpened{
		Lineage: lineage, Seq: 1, Format: 1, Writers: opening.Writers,
		Continues: opening.Continues, Writer: opening.Writer.Public(),
	}
	e.Envelope = Envelope{Type: TypeLogOpened, Fleet: fleet, Tick: lineage, Time: at, Severity: Info, New: true}
	e.Message = Describe(e)
	m, err := newMessage(e)
	if err != nil {
		return Message{}, fmt.Errorf("open log: %w", err)
	}
	if err := opening.Writer.sign(m, lineage); err != nil {
		return Message{}, fmt.Errorf("open log: %w", err)
	}
	return m, nil
}

// Opening is what LogOpened says beside the lineage.
type Opening struct {
	Writer    *Writer
	Writers   []PublicKey // the writer's own key among them
	Continues *Continues
}
