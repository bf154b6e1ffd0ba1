package manifest

import "strings"

// fleet is what readFleet reads.
func (c *cursor) fleet() *Fleet {
	f := &Fleet{}
	missing := 5
	for m := new(members); c.member(m); {
		switch m.name {
		case "channelEdges":
			f.ChannelEdges = sequence(c, (*cursor).channelEdge)
		case "channels":
			f.Channels = named(c, (*cursor).channel)
			missing--
		case "disruptionBudgets":
			f.DisruptionBudgets = sequence(c, (*cursor).budget)
		case "edges":
			f.Edges = sequence(c, (*cursor).edge)
		case "hosts":
			f.Hosts = named(c, (*cursor).host)
			missing--
		case "meta":
			f.Meta = c.meta()
			missing--
		case "rolloutPolicies":
			f.RolloutPolicies = byName(c, (*cursor).policy)
		case "schemaVersion":
			f.SchemaVersion = c.integer()
			missing--
		case "waves":
			f.Waves = byName(c, func(c *cursor) []Wave { return sequence(c, (*cursor).wave) })
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return f
}

// named reads an object as a slice of values that know their names, in order; nil
// when there are none.
func named[T any](c *cursor, read func(c *cursor, name string) T) []T {
	var p pile[T]
	for m := new(members); c.member(m); {
		p.add(read(c, m.name))
	}
	if p.count == 0 {
		return nil
	}
	return p.all()
}

func (c *cursor) host(name string) Host {
	h := Host{Name: name}
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "channel":
			h.Channel = c.string()
			missing--
		case "closureHash":
			h.ClosureHash = c.optionalText()
		case "pin":
			h.Pin = optional(c, (*cursor).pin)
		case "platform":
			h.Platform = c.optionalText()
		case "pubkey":
			h.Pubkey = c.optionalText()
		case "system":
			h.System = c.optionalText()
		case "tags":
			h.Tags = c.texts()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0 && (h.System != nil || h.Platform != nil))
	return h
}

func (c *cursor) pin() (p Pin) {
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "commit":
			p.Commit = c.string()
			missing--
		case "expiresAt":
			p.ExpiresAt = optional(c, (*cursor).instant)
		case "reason":
			p.Reason = c.string()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return p
}

func (c *cursor) channel(name string) Channel {
	channel := Channel{Name: strings.Clone(name)}
	missing := 4
	for m := new(members); c.member(m); {
		switch m.name {
		case "compliance":
			compliance := c.compliance()
			channel.Compliance = &compliance
		case "freshnessWindow":
			channel.FreshnessWindow = c.integer()
			missing--
		case "reconcileIntervalMinutes":
			channel.ReconcileIntervalMinutes = c.integer()
			missing--
		case "rolloutPolicy":
			channel.RolloutPolicy = c.string()
			missing--
		case "signingIntervalMinutes":
			channel.SigningIntervalMinutes = c.integer()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return channel
}

func (c *cursor) compliance() (compliance Compliance) {
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "frameworks":
			compliance.Frameworks = c.texts()
			missing--
		case "mode":
			compliance.Mode = c.string()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return compliance
}

func (c *cursor) wave() (w Wave) {
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "hosts":
			w.Hosts = c.texts()
			missing--
		case "soakMinutes":
			w.SoakMinutes = c.integer()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return w
}

func (c *cursor) edge() (e Edge) {
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "gated":
			e.Gated = c.string()
			missing--
		case "gates":
			e.Gates = c.string()
			missing--
		case "reason":
			e.Reason = c.optionalText()
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return e
}

// channelEdge also knows the members' former names; one of each must be there.
func (c *cursor) channelEdge() (e Edge) {
	gated, gates := 0, 0
	for m := new(members); c.member(m); {
		switch m.name {
		case "after", "gated":
			e.Gated = c.string()
			gated++
		case "before", "gates":
			e.Gates = c.string()
			gates++
		case "reason":
			e.Reason = c.optionalText()
		default:
			c.skip()
		}
	}
	c.demand(gated == 1 && gates == 1)
	return e
}

func (c *cursor) meta() (meta Meta) {
	missing := 1
	for m := new(members); c.member(m); {
		switch m.name {
		case "ciCommit":
			meta.CICommit = optional(c, (*cursor).own)
		case "schemaVersion":
			meta.SchemaVersion = c.integer()
			missing--
		case "signatureAlgorithm":
			meta.SignatureAlgorithm = optional(c, (*cursor).own)
		case "signedAt":
			meta.SignedAt = optional(c, (*cursor).instant)
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return meta
}
