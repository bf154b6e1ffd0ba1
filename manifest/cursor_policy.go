package manifest

// What fleets and rollouts say of how hosts are chosen and held back.

func (c *cursor) policy() (p RolloutPolicy) {
	missing := 3
	for m := new(members); c.member(m); {
		switch m.name {
		case "healthGate":
			p.HealthGate = c.healthGate()
		case "onHealthFailure":
			p.OnHealthFailure = c.string()
			c.demand(p.OnHealthFailure == "halt" || p.OnHealthFailure == "rollback-and-halt")
			missing--
		case "strategy":
			p.Strategy = c.string()
			missing--
		case "waves":
			p.Waves = sequence(c, (*cursor).policyWave)
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return p
}

func (c *cursor) policyWave() (w PolicyWave) {
	missing := 2
	for m := new(members); c.member(m); {
		switch m.name {
		case "selector":
			w.Selector = c.selector()
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

func (c *cursor) selector() (s Selector) {
	for m := new(members); c.member(m); {
		switch m.name {
		case "all":
			s.All = c.flag()
		case "channel":
			s.Channel = c.optionalText()
		case "hosts":
			s.Hosts = c.texts()
		case "tags":
			s.Tags = c.texts()
		case "tagsAny":
			s.TagsAny = c.texts()
		default:
			c.skip()
		}
	}
	return s
}

func (c *cursor) healthGate() (g HealthGate) {
	for m := new(members); c.member(m); {
		switch m.name {
		case "complianceProbes":
			g.ComplianceProbesRequired = only(c, "required", (*cursor).flag)
		case "systemdFailedUnits":
			g.MaxFailedUnits = only(c, "max", (*cursor).integer)
		default:
			c.skip()
		}
	}
	return g
}

// only reads the one member that counts of an object that may be null.
func only[T any](c *cursor, name string, read func(*cursor) T) (value *T) {
	if c.null() {
		return nil
	}
	for m := new(members); c.member(m); {
		if m.name == name {
			v := read(c)
			value = &v
		} else {
			c.skip()
		}
	}
	c.demand(value != nil)
	return value
}

func (c *cursor) budget() DisruptionBudget { return c.resolvedBudget(nil) }

func (c *cursor) rolloutBudget() RolloutBudget {
	var hosts []string
	budget := c.resolvedBudget(&hosts)
	c.demand(hosts != nil)
	return RolloutBudget{budget, hosts}
}

// resolvedBudget reads a budget, and the hosts beside it when they are asked for.
func (c *cursor) resolvedBudget(hosts *[]string) (b DisruptionBudget) {
	missing := 1
	for m := new(members); c.member(m); {
		switch {
		case m.name == "hosts" && hosts != nil:
			*hosts = c.texts()
		case m.name == "maxInFlight":
			b.MaxInFlight = optional(c, (*cursor).integer)
		case m.name == "maxInFlightPct":
			b.MaxInFlightPct = optional(c, (*cursor).integer)
		case m.name == "selector":
			b.Selector = c.selector()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return b
}
