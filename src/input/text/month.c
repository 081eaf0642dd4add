/* Names of months as the C library's locales shorten them (%b of strftime(3)). Where two languages
 * mean different months by one name, the one that more people speak has it. */
#include "input/text/month.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
static const char *const month_names[12] = {
	"de gen|ean|ene|gen|ian|ion|jaan|jan|janv|led|oca|saus|sij|sty|tammi|urt|"
	"xan|yan|jän|Ιαν|ιαν|Јан|Сту|Січ|Янв|Яну|сту|"
	"січ|янв|яну|јан|Қаң|қаң|Հնվ|հնվ|ינו|ينا|"
	"يناير|ژانویه|जन॰|ม.ค|იან",
	"chw|de febr|feabh|feb|febr|fev|helmi|lut|ots|peb|shk|vas|veebr|velj|fév|"
	"févr|Úno|úno|Şub|şub|Φεβ|φεβ|Ақп|Лют|Феб|Фев|"
	"ақп|лют|феб|фев|Փտր|փտր|פבר|فبر|فبراير|"
	"فوریه|फ़र॰|ก.พ|თებ",
	"kov|maalis|mac|mar|mars|maw|mrt|bře|de març|març|márc|márta|mäe|"
	"mär|märts|ožu|Μάρ|Μαρ|μάρ|μαρ|Бер|Мар|Нау|Сак|"
	"бер|мар|нау|сак|Մար|մար|מרץ|مار|مارس|"
	"मार्च|มี.ค|მარ",
	"abr|aib|api|apr|april|avr|avril|bal|dub|ebr|huhti|kwi|nis|pri|tra|"
	"d’abr|Ápr|ápr|Απρ|απρ|Апр|Кві|Кра|Сәу|апр|"
	"кві|кра|сәу|Ապր|ապր|אפר|آوریل|أبر|أبريل|"
	"अप्रैल|เม.ย|აპრ",
	"beal|de maig|geg|mag|mai|maig|maj|may|mee|mei|svi|touko|kvě|maí|máj|"
	"Μάι|Μαΐ|μάι|μαΐ|Май|Мам|Мая|Мај|Тра|май|"
	"мам|мая|мај|тра|Մայ|մայ|מאי|ماي|مايو|مه|"
	"मई|พ.ค|მაი",
	"cze|de juny|eka|giu|haz|hun|iun|juin|jun|juni|juny|juuni|meh|meith|qer|"
	"birž|i̇yn|jún|jūn|kesä|xuñ|Čen|čen|İyn|Ιουν|Ιούν|"
	"ιουν|ιούν|Јун|Июн|Мау|Чер|Чэр|Юни|июн|"
	"мау|чер|чэр|юни|јун|Հնս|հնս|יונ|يون|"
	"يونيو|ژوئن|जून|มิ.ย|ივნ",
	"de jul|gor|hul|iul|jui|juil|jul|juli|juuli|kor|liep|lip|lug|tem|uzt|xul|"
	"heinä|iúil|i̇yl|júl|jūl|Čec|čec|İyl|Ιουλ|Ιούλ|ιουλ|"
	"ιούλ|Јул|Июл|Лип|Ліп|Шіл|Юли|июл|лип|ліп|"
	"шіл|юли|јул|Հլս|հլս|יול|يول|يوليو|ژوئیه|"
	"जुल॰|ก.ค|ივლ",
	"abu|ag|ago|agu|aug|avg|avq|aws|elo|gsh|kol|ogos|rugp|sie|srp|aoû|août|"
	"ağu|aŭg|d’ag|lún|Ágú|ágú|Αυγ|Αύγ|αυγ|αύγ|Авг|"
	"Жні|Сер|Там|авг|жні|сер|там|Օգս|օգս|אוג|"
	"أغس|أغسطس|اوت|अग॰|ส.ค|აგვ",
	"de set|eyl|ira|med|rugs|ruj|sen|sep|sept|set|sht|syys|szept|wrz|mfómh|"
	"zář|Σεπ|σεπ|Вер|Сен|Сеп|вер|сен|сеп|Қыр|"
	"қыр|Սեպ|սեպ|ספט|سبت|سبتمبر|سپتامبر|"
	"सित॰|ก.ย|სექ",
	"eki|hyd|loka|oct|okt|ott|out|spal|tet|urr|dfómh|d’oct|paź|Říj|"
	"říj|Οκτ|οκτ|Жов|Кас|Окт|жов|кас|окт|Қаз|"
	"қаз|Հոկ|հոկ|אוק|أكت|أكتوبر|اكتبر|"
	"अक्तू॰|ต.ค|ოქტ",
	"aza|de nov|kas|lapkr|lis|marras|nob|nov|noy|samh|stu|tach|nën|nóv|"
	"Νοέ|Νοε|νοέ|νοε|Лис|Ліс|Нов|Ное|Ноя|лис|"
	"ліс|нов|ное|ноя|Қар|қар|Նմբ|նմբ|נוב|"
	"نوامبر|نوف|نوفمبر|नव॰|พ.ย|ნოე",
	"abe|ara|de des|dec|dek|des|dets|dez|dhj|dic|dis|gru|gruod|joulu|noll|pro|"
	"rha|déc|Δεκ|δεκ|Гру|Дек|Дец|Жел|Сне|гру|дек|"
	"дец|жел|сне|Դեկ|դեկ|דצמ|دسامبر|ديس|"
	"ديسمبر|दिस॰|ธ.ค|დეკ",
};
/* clang-format on */

/* The length of the longest of the names that the text begins with, in any case of ASCII's letters;
 * 0: none. */
static size_t match_names(const char *text, const char *names)
{
	size_t longest = 0, length;

	for (const char *name = names; *name; name += length + (name[length] == '|')) {
		length = strcspn(name, "|");
		if (length > longest && strncasecmp(text, name, length) == 0)
			longest = length;
	}
	return longest;
}

/* "11月" in Chinese and Japanese, "11월" in Korean, "Thg 11" in Vietnamese. */
static const char *parse_numbered(const char *text, int *ret_month)
{
	bool is_ahead = strncasecmp(text, "thg ", 4) == 0;
	int month = 0, n = 0;

	text += is_ahead ? 4 : 0;
	for (; n < 2 && isdigit((unsigned char)text[n]); n++)
		month = month * 10 + (text[n] - '0');
	if (month < 1 || month > 12)
		return NULL;
	if (!is_ahead && strncmp(text + n, "月", 3) != 0 && strncmp(text + n, "월", 3) != 0)
		return NULL;
	*ret_month = month - 1;
	return text + n + (is_ahead ? 0 : 3);
}

/* As nearly all logs have it, which spares them the search through all languages. */
static const char *parse_english(const char *text, int *ret_month)
{
	static const char names[][4] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					"aug", "sep", "oct", "nov", "dec", ""};

	for (int i = 0; *names[i]; i++)
		if (strncasecmp(text, names[i], 3) == 0 && text[3] == ' ') {
			*ret_month = i;
			return text + 3;
		}
	return NULL;
}

const char *month_parse(const char *text, int *ret_month)
{
	const char *end = parse_english(text, ret_month);
	size_t longest = 0;

	if (end)
		return end;
	for (int i = 0; i < 12; i++) {
		size_t length = match_names(text, month_names[i]);

		if (length > longest) {
			longest = length;
			*ret_month = i;
		}
	}
	if (longest == 0)
		return parse_numbered(text, ret_month);
	text += longest;
	text += *text == '.';
	return text;
}
