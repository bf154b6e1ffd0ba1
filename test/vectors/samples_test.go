package vectors

import "testing"

// samples have members, strings and numbers of every kind that RFC 8785
// discusses: sorting by UTF-16 code units, escapes, and the shortest form of
// doubles.
var samples = []string{
	`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
	`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`,
	`[56,{"d":true,"10":null,"1":[]}]`,
	`{"1":{"f":{"f":"hi","F":5},"\n":56.0},"10":{},"":"empty","a":{},"111":[{"e":"yes","E":"no"}],"A":{}}`,
	`[0,-0,5e-324,-5e-324,1.7976931348623157e308,-1.7976931348623157e308,9007199254740992,-9007199254740992,295147905179352830000,9.999999999999997e22,1e23,1.0000000000000001e23]`,
	`[999999999999999700000,999999999999999900000,1e21,9.999999999999997e-7,0.000001,333333333.3333332,333333333.33333325,333333333.3333333,333333333.3333334,333333333.33333343,-0.0000033333333333333333,1424953923781206.2]`,
	"\"\\u2028\u2029\x7f\\u001f\\b\\t\\n\\f\\r\"",
}

func TestSamplesAgreeWithTheJudge(t *testing.T) {
	for _, s := range samples {
		if !judged(t, []byte(s)) {
			t.Errorf("%s is refused", s)
		}
	}
	t.Logf("%d samples", len(samples))
}
