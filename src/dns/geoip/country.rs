//! Where countries are, roughly: so that a database of countries alone suffices to find what is near.

use crate::dns::policy::Country;

/// A country's code and continent, and its centre in degrees north and east.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centre {
    pub country: Country,
    pub continent: Country,
    pub location: (f64, f64),
}

/// Code, continent, north, east; by code. Centres are where people live rather than of the area, where that is far apart.
#[rustfmt::skip]
const CENTRES: &str = "
AD EU 42.5 1.5;AE AS 24.5 54.4;AF AS 34.0 67.0;AG NA 17.1 -61.8;AI NA 18.2 -63.1;AL EU 41.2 20.0;AM AS 40.2 44.7;AO AF -9.5 14.5;
AQ AN -77.8 166.7;AR SA -34.0 -61.0;AS OC -14.3 -170.7;AT EU 47.8 14.5;AU OC -33.0 147.0;AW NA 12.5 -70.0;AX EU 60.2 20.0;AZ AS 40.4 48.5;
BA EU 44.1 17.8;BB NA 13.2 -59.5;BD AS 23.8 90.3;BE EU 50.8 4.5;BF AF 12.3 -1.6;BG EU 42.6 24.8;BH AS 26.1 50.5;BI AF -3.4 29.8;
BJ AF 7.2 2.3;BL NA 17.9 -62.8;BM NA 32.3 -64.8;BN AS 4.8 114.8;BO SA -17.2 -66.0;BQ NA 12.2 -68.3;BR SA -20.5 -46.5;BS NA 25.0 -77.4;
BT AS 27.4 90.0;BW AF -23.5 26.2;BY EU 53.7 27.8;BZ NA 17.4 -88.5;CA NA 46.5 -78.5;CC OC -12.2 96.8;CD AF -4.0 19.5;CF AF 5.5 19.0;
CG AF -4.2 14.0;CH EU 47.2 8.1;CI AF 6.2 -5.0;CK OC -21.2 -159.8;CL SA -33.7 -70.9;CM AF 4.8 11.2;CN AS 32.0 114.5;CO SA 5.3 -74.6;
CR NA 9.9 -84.1;CU NA 22.2 -80.0;CV AF 15.0 -23.6;CW NA 12.1 -68.9;CX OC -10.5 105.6;CY EU 35.0 33.2;CZ EU 49.9 15.3;DE EU 50.8 9.8;
DJ AF 11.6 43.0;DK EU 55.8 10.9;DM NA 15.4 -61.4;DO NA 18.8 -70.2;DZ AF 36.0 3.5;EC SA -1.5 -79.0;EE EU 59.0 25.5;EG AF 30.0 31.2;
EH AF 26.0 -13.3;ER AF 15.3 38.8;ES EU 40.2 -3.2;ET AF 9.0 39.0;FI EU 61.5 25.0;FJ OC -17.9 178.0;FK SA -51.7 -58.5;FM OC 6.9 158.2;
FO EU 62.0 -6.9;FR EU 47.5 2.6;GA AF 0.0 10.0;GB EU 52.4 -1.4;GD NA 12.1 -61.7;GE AS 41.9 44.0;GF SA 4.9 -52.4;GG EU 49.5 -2.6;
GH AF 6.0 -0.8;GI EU 36.1 -5.3;GL NA 64.2 -51.7;GM AF 13.4 -16.3;GN AF 10.0 -11.8;GP NA 16.2 -61.6;GQ AF 2.5 10.0;GR EU 38.6 23.2;
GS AN -54.3 -36.5;GT NA 14.8 -90.7;GU OC 13.5 144.8;GW AF 12.0 -15.3;GY SA 6.6 -58.1;HK AS 22.3 114.2;HN NA 14.7 -87.2;HR EU 45.5 16.2;
HT NA 18.7 -72.4;HU EU 47.3 19.3;ID AS -6.8 109.5;IE EU 53.2 -7.2;IL AS 32.0 34.9;IM EU 54.2 -4.5;IN AS 21.5 78.5;IO AS -7.3 72.4;
IQ AS 33.2 44.3;IR AS 35.0 51.5;IS EU 64.3 -21.5;IT EU 43.0 12.0;JE EU 49.2 -2.1;JM NA 18.1 -77.0;JO AS 31.9 35.9;JP AS 35.6 138.0;
KE AF -0.8 36.9;KG AS 42.3 74.0;KH AS 11.8 104.9;KI OC 1.4 173.0;KM AF -11.8 43.4;KN NA 17.3 -62.7;KP AS 39.3 126.0;KR AS 36.9 127.5;
KW AS 29.3 47.9;KY NA 19.3 -81.3;KZ AS 47.0 72.0;LA AS 18.0 102.8;LB AS 33.9 35.6;LC NA 13.9 -61.0;LI EU 47.2 9.5;LK AS 7.0 80.4;
LR AF 6.5 -10.2;LS AF -29.4 27.9;LT EU 55.0 24.2;LU EU 49.7 6.1;LV EU 56.9 24.6;LY AF 32.3 15.0;MA AF 33.3 -7.0;MC EU 43.7 7.4;
MD EU 47.1 28.7;ME EU 42.6 19.2;MF NA 18.1 -63.1;MG AF -19.0 47.2;MH OC 7.1 171.2;MK EU 41.9 21.5;ML AF 12.9 -7.2;MM AS 19.0 96.2;
MN AS 47.9 106.0;MO AS 22.2 113.5;MP OC 15.2 145.7;MQ NA 14.6 -61.0;MR AF 18.0 -15.8;MS NA 16.7 -62.2;MT EU 35.9 14.4;MU AF -20.2 57.6;
MV AS 4.2 73.5;MW AF -14.0 34.5;MX NA 20.5 -100.5;MY AS 3.4 102.2;MZ AF -19.5 35.5;NA AF -21.5 16.8;NC OC -22.2 166.4;NE AF 13.5 5.0;
NF OC -29.0 168.0;NG AF 8.0 6.5;NI NA 12.4 -86.2;NL EU 52.1 5.1;NO EU 60.3 9.8;NP AS 27.6 85.2;NR OC -0.5 166.9;NU OC -19.1 -169.9;
NZ OC -38.5 175.3;OM AS 23.4 57.8;PA NA 8.9 -79.8;PE SA -11.5 -76.5;PF OC -17.6 -149.5;PG OC -6.6 146.0;PH AS 13.8 121.5;PK AS 31.0 71.5;
PL EU 51.9 19.3;PM NA 46.8 -56.2;PN OC -25.1 -130.1;PR NA 18.3 -66.2;PS AS 31.8 35.0;PT EU 39.7 -8.6;PW OC 7.4 134.5;PY SA -25.3 -57.0;
QA AS 25.3 51.4;RE AF -21.1 55.5;RO EU 45.5 25.5;RS EU 44.3 20.7;RU EU 55.5 42.0;RW AF -2.0 30.0;SA AS 24.2 44.0;SB OC -9.3 160.1;
SC AF -4.6 55.5;SD AF 15.0 32.5;SE EU 58.8 15.5;SG AS 1.3 103.8;SH AF -16.0 -5.7;SI EU 46.1 14.7;SJ EU 78.2 15.6;SK EU 48.6 18.9;
SL AF 8.4 -12.3;SM EU 43.9 12.5;SN AF 14.6 -16.6;SO AF 3.5 45.0;SR SA 5.7 -55.2;SS AF 5.5 31.0;ST AF 0.3 6.7;SV NA 13.7 -89.1;
SX NA 18.0 -63.1;SY AS 34.8 37.0;SZ AF -26.4 31.4;TC NA 21.8 -72.2;TD AF 11.5 16.0;TF AN -49.3 69.4;TG AF 7.2 1.1;TH AS 14.8 100.9;
TJ AS 38.5 69.2;TK OC -9.2 -171.8;TL AS -8.7 125.9;TM AS 38.5 59.5;TN AF 36.0 10.0;TO OC -21.1 -175.2;TR AS 39.7 32.0;TT NA 10.5 -61.3;
TV OC -8.5 179.2;TW AS 24.2 120.9;TZ AF -5.5 36.5;UA EU 49.2 32.0;UG AF 0.7 32.3;UM OC 19.3 166.6;US NA 38.9 -89.0;UY SA -34.5 -56.0;
UZ AS 40.5 68.5;VA EU 41.9 12.5;VC NA 13.2 -61.2;VE SA 10.0 -67.8;VG NA 18.4 -64.6;VI NA 18.2 -64.8;VN AS 16.0 106.8;VU OC -17.0 168.2;
WF OC -13.3 -176.2;WS OC -13.8 -171.9;XK EU 42.6 20.9;YE AS 14.5 44.5;YT AF -12.8 45.2;ZA AF -27.5 28.5;ZM AF -14.0 28.4;ZW AF -18.5 30.8";

fn centres() -> impl Iterator<Item = Centre> {
    CENTRES.trim().split(';').filter_map(|row| {
        let mut words = row.split_whitespace();
        let mut code = || <Country>::try_from(words.next()?.as_bytes()).ok();
        let (country, continent) = (code()?, code()?);
        let mut degrees = || words.next()?.parse().ok();
        Some(Centre { country, continent, location: (degrees()?, degrees()?) })
    })
}

/// Of a country, by its ISO 3166 code.
pub fn centre(country: Country) -> Option<Centre> {
    centres().find(|centre| centre.country == country)
}

/// The continent of the country that is nearest to a place.
pub fn continent_at(place: (f64, f64)) -> Option<Country> {
    let away = |centre: &Centre| {
        let (north, east) = (centre.location.0 - place.0, (centre.location.1 - place.1).abs());
        let east = east.min(360.0 - east) * place.0.to_radians().cos();
        north * north + east * east
    };
    let nearest = centres().min_by(|a, b| away(a).total_cmp(&away(b)));
    nearest.map(|centre| centre.continent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let all: Vec<Centre> = centres().collect();
        assert_eq!(all.len(), CENTRES.split(';').count());
        assert!(all.is_sorted_by(|a, b| a.country < b.country), "by code, each once");
        assert!(all.iter().all(|c| c.location.0.abs() <= 90.0 && c.location.1.abs() <= 180.0));
        let known = |c: &Country| matches!(c, b"AF" | b"AN" | b"AS" | b"EU" | b"NA" | b"OC" | b"SA");
        assert!(all.iter().all(|c| known(&c.continent)));
    }

    #[test]
    fn continents_of_places() {
        assert_eq!(continent_at((53.35, -6.26)), Some(*b"EU"));
        assert_eq!(continent_at((40.7, -74.0)), Some(*b"NA"));
        assert_eq!(continent_at((35.7, 139.7)), Some(*b"AS"));
        assert_eq!(continent_at((-33.9, 151.2)), Some(*b"OC"));
        assert_eq!(continent_at((-23.5, -46.6)), Some(*b"SA"));
        assert_eq!(continent_at((-17.9, -179.9)), Some(*b"OC"), "over the date line");
    }
}
